class CannotStart(Exception):
    """Its text tells the person at the terminal what is wrong and what to do, and holds no secret."""
