"""Background maintenance: every worker runs it, one leader at a time does the work; one kind of maintenance a file."""
