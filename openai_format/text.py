"""Text in data that a provider sent, whose types and characters may be wrong."""

from typing import Any, Final, Protocol

# Raised by readers for data of an unexpected shape.
MALFORMED: Final = (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError, RecursionError)


class TextBudget(Protocol):
    """How much text an answer may still take."""

    def take(self, value: str) -> str:
        """The beginning of the value that the budget allows."""
        ...


class SurrogateJoiner:
    """Joins characters outside the basic plane that a provider has split between two chunks.

    A half without its counterpart becomes U+FFFD, because neither UTF-8 nor Redis accepts it.
    """

    def __init__(self) -> None:
        self._pending = ""

    def join(self, text: str) -> str:
        if not self._pending and text.isascii():
            return text
        joined = self._pending + text
        self._pending = joined[-1] if joined and "\ud800" <= joined[-1] <= "\udbff" else ""
        return repair_surrogates(joined[: len(joined) - len(self._pending)])

    def flush(self) -> str:
        """U+FFFD if the text ended with half a character, else an empty text."""
        pending, self._pending = self._pending, ""
        return repair_surrogates(pending)


def repair_surrogates(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def read_text(value: Any) -> str | None:
    """A text or None. Raises TypeError for anything else."""
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value


def read_content(content: Any) -> str:
    """The text of a message's content; of a list of parts, the text parts joined."""
    if isinstance(content, list):
        content = "".join(read_text(part.get("text")) or "" for part in content if part.get("type") == "text")
    return read_text(content) or ""
