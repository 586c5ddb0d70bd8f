"""Runs the whole system on one machine. Of the other packages it imports only jobs: settings, keys, Redis client."""
