"""`chatqueue doctor`: every check of a set-up, each with the remedy for what it finds.

The checks are those that `chatqueue up`, the workers and /health make, and those that need a call to the provider or a
look at the whole machine. They change nothing, but for a file that is written and deleted, and a key of Redis that
expires.
"""
