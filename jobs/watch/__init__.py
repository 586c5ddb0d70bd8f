"""How a process learns that a job has changed."""
