"""Background maintenance, which runs in every worker; one worker at a time does the work. One task per file."""
