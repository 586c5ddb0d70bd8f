"""Starts processes on one machine; of ours it knows only the settings."""
