"""Waits for changes of jobs, and follows their events, within one process."""
