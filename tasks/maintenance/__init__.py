"""What every worker does in the background, one leader at a time: one kind of maintenance a file."""
