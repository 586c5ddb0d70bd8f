class CannotStart(Exception):
    """The system cannot start. The message says what is wrong and what to do, and contains no secret."""
