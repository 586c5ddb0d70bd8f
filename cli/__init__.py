"""The command line `chatqueue`: starts the processes of a machine, and is a client of the public HTTP API."""
