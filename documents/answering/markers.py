"""Finds the marks with which an answer cites its sources, in every form in which models write them.

    [1]  [1, 2]  [1-3]  [1; 2]  [ 1 ]  [^1]  [1†source]  [1, page 4]  [Source 1]  [p. 4]  and the same in 【】 ［］ 〔〕
    (Source 1)  (p. 4)       in parentheses with a word
    (1)                      at the end of a sentence or line only: elsewhere it numbers a list or is an aside
    ¹  <sup>1</sup>          after a word or a stop, never after a number or a unit such as m²

A number of no source, a year, an interval such as [0, 1] and program text are not marks.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from documents.models import Source

_CODE: Final = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]*`", re.DOTALL)
_MAX_INNER_CHARS: Final = 100
_OPENING: Final = {"[": "]", "【": "】", "［": "］", "〔": "〕", "(": ")", "（": "）"}
_BRACKETS: Final = "|".join(
    rf"{re.escape(opening)}(?P<inner{number}>[^\[\]【】［］〔〕()（）\n]{{1,{_MAX_INNER_CHARS}}}){re.escape(closing)}"
    for number, (opening, closing) in enumerate(_OPENING.items())
)
_SUPERSCRIPTS: Final = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_MARK: Final = re.compile(
    rf"{_BRACKETS}|<sup>(?P<html>[^<\n]{{1,30}})</sup>"
    rf"|(?:(?<=[^\W\d_]{{3}})|(?<=[.,;:!?。！？)\"”»’]))(?P<raised>[{_SUPERSCRIPTS}]{{1,3}}(?:[,˒ ⁻–-][{_SUPERSCRIPTS}]{{1,3}})*)"
    rf"(?![{_SUPERSCRIPTS}⁻⁺])"
)
_TO_DIGITS: Final = str.maketrans(_SUPERSCRIPTS + "⁻˒ ", "0123456789-,,")
_SOURCE_WORD: Final = (
    r"(?:sources?|src|docs?|documents?|refs?|references?|citations?|cite|excerpts?|passages?|chunks?|quellen?|fuentes?"
    r"|fonti|fontes?|bron(?:nen)?|källa|källor|kilder?|źródło|źródła|zdroje?|lähteet?|kaynak|nguồn|sumber|источники?"
    r"|джерел[оа]|πηγ[ήές]+|来源|來源|资料|資料|出典|出处|文献|출처|소스|المصدر|مصدر|מקור|स्रोत|ที่มา|แหล่งที่มา)"
)
_PAGE_WORD: Final = (
    r"(?:pages?|pp?|pgs?|seiten?|s|páginas?|págs?|paginas?|pagine|pag|strona|str|стр|страницы?|с|sayfa|sivu|sida|side"
    r"|trang|halaman|σελ|σελίδα|صفحة|ص|עמוד|עמ'|पृष्ठ|หน้า|第|쪽)"
)
_SEPARATOR: Final = re.compile(r"\s*(?:[,;、，；/&+]|\band\b|\bund\b|\bet\b|\by\b|\be\b|和|と)\s*")
_NUMBERS: Final = re.compile(
    rf"(?:see\s+)?(?P<word>{_SOURCE_WORD}\s*[.:#№]?\s*)?[#^]?(?P<first>\d{{1,4}})"
    rf"(?:\s*(?:[-‐-―~〜]|to|bis)\s*(?:{_SOURCE_WORD}\s*)?[#^]?(?P<last>\d{{1,4}}))?(?P<rest>\s*[†:|‡].*)?",
    re.IGNORECASE,
)
_PAGE: Final = re.compile(
    rf"{_PAGE_WORD}\s*\.?\s*(?P<before>\d{{1,5}})(?:\s*[-‐-―]\s*\d{{1,5}})?\s*[页頁]?|(?P<after>\d{{1,5}})\s*(?:ページ|頁|页|쪽)",
    re.IGNORECASE,
)
_ENDS_SENTENCE: Final = re.compile(r"\s*(?:[.,;:!?。、，！？؟।]|$|\n|[\[(（【])")
_IS_PROGRAM_TEXT: Final = re.compile(r"\s*(?:=|[-+*/<>]\s*\w|\+\+|--)|\.\w|\(\w*\)")
_NUMBERED_THING: Final = re.compile(
    r"\b(?:step|figure|fig|table|section|equation|eq|article|option|point|item|part|note|chapter|schritt|abbildung|tabelle"
    r"|abschnitt|artikel|absatz|paragraph|clause|rule|level|version|schedule|annex|appendix)\.?\s*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the answer that cites these sources."""

    start: int
    end: int
    numbers: tuple[int, ...]


def find_marks(answer: str, sources: Sequence[Source]) -> Iterator[Mark]:
    """The marks of an answer that cite at least one of the sources, in order."""
    numbers_by_page: dict[int, list[int]] = {}
    for source in sources:
        numbers_by_page.setdefault(source.page, []).append(source.number)
    known = {source.number for source in sources}
    text = mask_code(answer)
    for match in _MARK.finditer(text):
        numbers = dict.fromkeys(number for number in _numbers(text, match, known, numbers_by_page) if number in known)
        if numbers:
            yield Mark(match.start(), match.end(), tuple(numbers))


def mask_code(text: str) -> str:
    """The text with blanks in place of program text. Positions do not change."""
    return _CODE.sub(lambda match: " " * len(match[0]), text)


def _numbers(
    text: str, match: re.Match[str], known: set[int], numbers_by_page: Mapping[int, Sequence[int]]
) -> tuple[int, ...]:
    if raised := match["raised"] or match["html"]:
        return _parse(raised.translate(_TO_DIGITS).strip(" []()"), known, numbers_by_page).numbers
    inner = next(group for name, group in match.groupdict().items() if group is not None and name.startswith("inner"))
    parsed = _parse(inner.strip(), known, numbers_by_page)
    if match[0][0] in "(（" and not (parsed.has_word or _is_clear(text, match)):
        return ()
    if match[0][0] == "[" and _is_program_text(text, match):
        return ()
    return parsed.numbers


@dataclass(frozen=True, slots=True)
class _Parsed:
    numbers: tuple[int, ...] = ()
    has_word: bool = False  # "source" or "page"


def _parse(inner: str, known: set[int], numbers_by_page: Mapping[int, Sequence[int]]) -> _Parsed:
    numbers: list[int] = []
    pages: list[int] = []
    has_word = False
    items = [item for item in _SEPARATOR.split(inner) if item]
    for item in items:
        if page := _PAGE.fullmatch(item):
            pages.append(int(page["before"] or page["after"]))
            has_word = True
        elif found := _NUMBERS.fullmatch(item):
            numbers += _range(int(found["first"]), int(found["last"] or found["first"]), known)
            has_word = has_word or bool(found["word"] or found["rest"])
        elif not numbers:  # text before the first number; text after it names the file or the section
            return _Parsed()
    if 0 in numbers:  # an interval or an index
        return _Parsed()
    if not numbers:
        numbers = [number for page_number in pages for number in numbers_by_page.get(page_number, ())[:1]]
    return _Parsed(tuple(numbers), has_word)


def _range(first: int, last: int, known: set[int]) -> list[int]:
    """A range of which one end is no source is something else, such as years."""
    if first == last:
        return [first]
    return list(range(first, last + 1)) if first in known and last in known else []


def _is_clear(text: str, match: re.Match[str]) -> bool:
    """Whether a bare number in parentheses is a citation: after a word, at the end of a sentence or line."""
    line_start = text.rfind("\n", 0, match.start()) + 1
    before = text[max(line_start, match.start() - 40) : match.start()]
    follows_word = bool(before.strip(" \t-*•>#")) and (before[-1].isspace() or not before[-1].isascii())
    return follows_word and bool(_ENDS_SENTENCE.match(text, match.end())) and not _NUMBERED_THING.search(before)


def _is_program_text(text: str, match: re.Match[str]) -> bool:
    """Whether the brackets index a variable: `items[1] = x`, `items[1].name`."""
    before = text[match.start() - 1 : match.start()]
    follows_name = before.isalnum() or before in ("_", ")", "]")
    return bool(before) and follows_name and bool(_IS_PROGRAM_TEXT.match(text, match.end()))
