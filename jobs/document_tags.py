"""Tags of documents: words that the caller chooses, by which documents are listed and asked."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

MAX_TAGS: Final = 20  # of one document
_MAX_TAG_CHARS: Final = 64
_TAG_PATTERN: Final = (
    r"^[^\s,\x00-\x1f\x7f](?:[^,\x00-\x1f\x7f]*[^\s,\x00-\x1f\x7f])?$"  # commas separate tags in a query
)

Tag = Annotated[str, Field(min_length=1, max_length=_MAX_TAG_CHARS, pattern=_TAG_PATTERN)]


def _without_repeats(tags: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tags))


Tags = Annotated[tuple[Tag, ...], Field(max_length=MAX_TAGS, fail_fast=True), AfterValidator(_without_repeats)]


def split_tags(text: str | None) -> tuple[str, ...]:
    """The tags of a query parameter, which are separated by commas; each once."""
    return _without_repeats(tuple(tag for part in (text or "").split(",") if (tag := part.strip())))
