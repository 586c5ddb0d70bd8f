class CannotStart(Exception):
    """The system cannot start. The message states the problem and its remedy, and contains no secret."""
