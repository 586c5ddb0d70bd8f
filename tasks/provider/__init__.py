"""Calls to the provider: the client, its timeouts, limits and errors."""
