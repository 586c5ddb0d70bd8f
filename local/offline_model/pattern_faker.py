"""A text that matches a regular expression, for the `pattern` of a JSON Schema."""

import re
import re._constants as op  # type: ignore[import-not-found]  # the only parser of patterns; without stubs
import re._parser as parser  # type: ignore[import-not-found]
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

_ANY: Final = "a0 _-A.@/"  # tried in this order where a character is excluded
_CATEGORIES: Final = {
    op.CATEGORY_DIGIT: "1",
    op.CATEGORY_NOT_DIGIT: "a",
    op.CATEGORY_SPACE: " ",
    op.CATEGORY_NOT_SPACE: "a",
    op.CATEGORY_WORD: "a",
    op.CATEGORY_NOT_WORD: " ",
}
_REPEATS: Final = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)
_MAX_CHARS: Final = 10_000
_MAX_EXTRA: Final = 64  # repetitions beyond the least, to reach a minimum length


def text_for_pattern(pattern: str, min_chars: int, max_chars: int) -> str | None:
    """None if no text is found: the pattern is not one of Python's, or too difficult."""
    try:
        tree, compiled = parser.parse(pattern), re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return None
    with suppress(OverflowError):
        for extra in range(_MAX_EXTRA):
            text = _text(tree, extra, {})
            if min_chars <= len(text) <= max_chars and compiled.search(text):
                return text
    return None


def _text(nodes: Iterable[Any], extra: int, groups: dict[int, str]) -> str:
    text = "".join(_node(operator, argument, extra, groups) for operator, argument in nodes)
    if len(text) > _MAX_CHARS:
        raise OverflowError
    return text


def _node(operator: Any, argument: Any, extra: int, groups: dict[int, str]) -> str:
    """The text for one element. Anchors and conditions have none: the result is compared with the pattern."""
    if operator in _REPEATS:
        low, high, body = argument
        return "".join(_text(body, extra, groups) for _ in range(min(low + extra, int(high), _MAX_CHARS)))
    if operator is op.SUBPATTERN:
        groups[argument[0]] = _text(argument[3], extra, groups)
        return groups[argument[0]]
    if operator is op.BRANCH:
        return _text(argument[1][0], extra, groups)
    if operator is op.GROUPREF:
        return groups.get(argument, "")
    return _character(operator, argument)


def _character(operator: Any, argument: Any) -> str:
    if operator is op.LITERAL:
        return chr(argument)
    if operator is op.NOT_LITERAL:
        return next(char for char in _ANY if ord(char) != argument)
    if operator is op.IN:
        return _member(argument)
    return "a" if operator is op.ANY else ""


def _member(members: list[Any]) -> str:
    """A character of a set."""
    if members[0][0] is op.NEGATE:
        excluded = re.compile(f"[{''.join(map(_as_text, members[1:]))}]")
        return next((char for char in _ANY if not excluded.match(char)), "~")
    operator, argument = members[0]
    if operator is op.CATEGORY:
        return _CATEGORIES[argument]
    return chr(argument[0] if operator is op.RANGE else argument)


def _as_text(member: tuple[Any, Any]) -> str:
    """A member of a set as it is written in a pattern."""
    operator, argument = member
    if operator is op.RANGE:
        return f"{re.escape(chr(argument[0]))}-{re.escape(chr(argument[1]))}"
    if operator is op.CATEGORY:
        return {"1": r"\d", " ": r"\s"}.get(_CATEGORIES[argument], r"\w")
    return re.escape(chr(argument))
