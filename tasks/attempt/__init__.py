"""One attempt at a job, under a lease: claim, run, finalize."""
