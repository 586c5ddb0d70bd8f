"""Text in a provider's data, whose types and characters may be wrong."""

from typing import Any, Final, Protocol

# Exceptions that the readers of a provider's data raise if its shape is unexpected.
MALFORMED: Final = (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError, RecursionError)


class TextBudget(Protocol):
    """Limits the text that may still be added to an answer."""

    def take(self, value: str) -> str:
        """Returns the beginning of the value that still fits, and uses up the budget."""
        ...


class SurrogateJoiner:
    """Joins surrogate pairs that a provider has split across two chunks.

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
        """U+FFFD if the text ended with half a surrogate pair, else an empty text."""
        pending, self._pending = self._pending, ""
        return repair_surrogates(pending)


def repair_surrogates(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def read_text(value: Any) -> str | None:
    """The value, if it is a text or None. Raises TypeError for anything else."""
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value


def read_content(content: Any) -> str:
    """The text of a message's content; of a list of parts, the text parts joined."""
    if isinstance(content, list):
        content = "".join(read_text(part.get("text")) or "" for part in content if part.get("type") == "text")
    return read_text(content) or ""


def spoken_text(message: Any) -> str:
    """The transcript of a message or delta that contains audio: the only part of it that a text can express."""
    audio = message.get("audio")
    return (read_text(audio.get("transcript")) or "") if isinstance(audio, dict) else ""
