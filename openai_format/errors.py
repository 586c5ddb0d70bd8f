"""What the package raises for a request that it cannot convert."""


class NotInChatFormat(Exception):
    """A part of a response's request that a chat completion cannot express. ``part`` may contain text of the caller."""

    def __init__(self, part: str) -> None:
        super().__init__(part)
        self.part = part
