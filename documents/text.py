"""Clean-up, keywords, sentences and tokens of a text, without a model: approximate, deterministic and fast."""

import re
from collections.abc import Iterator
from typing import Final

from documents.words import question_tokens, text_tokens

BYTES_PER_TOKEN: Final = 4  # of UTF-8; English prose under the usual tokenizers has 4 to 4.5, program text 3 to 4
# The last character of a complete sentence, with closing quotes and brackets.
SENTENCE_END_CHARS: Final = frozenset(".!?:\u2026\u3002\uff01\uff1f\u061f\u06d4\u0964\"'\u201d\u2019)")
_LINE_END: Final = re.compile(r"\r\n?|[\x0b\x85\u2028\u2029]")
# PDFium's mark for a hyphen at a line end; it replaces the hyphen and the line break.
_LINE_END_HYPHEN: Final = re.compile(r"[\x02\ufffe](?:\r?\n)?")
_CONTROL_CHARS: Final = re.compile(r"[\x00-\x08\x0c\x0e-\x1f\x7f\ud800-\udfff\ufeff]")
_HYPHENATED_LINE_BREAK: Final = re.compile(r"(?<=[^\W\d_])-\n(?=[^\W\d_])")
_COMPOUND: Final = re.compile(r"(?<!\w)(?=\w*[^\W\d_])[^\W_]+(?:[-\u2010\u2011](?:\n[^\S\n]*)?[^\W_]+)+")
_HYPHEN: Final = re.compile(r"[-\u2010\u2011]\s*")
_SENTENCE_END: Final = re.compile(
    r"""(?P<stop>(?<!\be\.g)(?<!\bi\.e)(?<!\betc)(?<!\bcf)(?<!\bvs)(?<!\bFig)(?<!\bNo)(?<!\bDr)(?<!\bMr)(?<!\bMrs)
        (?<!\bNr)(?<!\bz\.B)(?<!\bd\.h)
        (?<![.!?\u061f\u06d4])[.!?\u061f\u06d4]+['"\u201d\u2019\u00bb)\]]*\s+(?=['"\u201c\u2018\u201e\u00ab\u00bf\u00a1(\[]*(?P<next>\w)))
        | [\u3002\uff01\uff1f\uff61]+[\u300d\u300f\u201d\uff09]*\s*   # Chinese and Japanese
        | [\u0964\u0965\u0589\u1362\u104a\u104b\u17d4\u17d5]+\s*     # Indic scripts, Armenian, Ethiopic, Burmese, Khmer
        | (?<=[\u0e01-\u0e5b\u0e81-\u0edf])\s+(?=[\u0e01-\u0e5b\u0e81-\u0edf])  # Thai and Lao: a blank ends a sentence
        | \n[^\S\n]*\n\s*                                   # a blank line
    """,
    re.VERBOSE,
)


def clean_text(text: str) -> str:
    """Normalize line ends to line feeds and remove control characters. Hyphens at line ends are kept."""
    text = _LINE_END_HYPHEN.sub("-\n", text)
    return _CONTROL_CHARS.sub("", _LINE_END.sub("\n", text)).strip()


def count_tokens(text: str) -> int:
    """The approximate number of tokens that a model would count; at least 1."""
    return max(1, -(-len(text.encode()) // BYTES_PER_TOKEN))


def normalize_text(text: str) -> str:
    """The text for search: words hyphenated at line ends are joined, and whitespace is collapsed."""
    return " ".join(_HYPHENATED_LINE_BREAK.sub("", text).split())


def stems(text: str) -> list[str]:
    """The keywords of a question or statement, in order; see `documents.words`."""
    return question_tokens(normalize_text(text))


def keywords(text: str) -> frozenset[str]:
    """What a question or statement is about."""
    return frozenset(stems(text))


def search_tokens(text: str) -> list[str]:
    """The tokens by which a text is found, in order. They contain no whitespace.

    A compound with a hyphen, also at the end of a line, is found as one word and as its parts.
    """
    other_forms = [_other_form(match[0]) for match in _COMPOUND.finditer(text)]
    return text_tokens(" ".join([normalize_text(text), *other_forms]))


def _other_form(compound: str) -> str:
    """What `normalize_text` does not make of a compound: its parts at the end of a line, else one word."""
    return _HYPHEN.sub(" " if "\n" in compound else "", compound)


def text_keywords(text: str) -> frozenset[str]:
    """What a text can be asked for: compared with the `keywords` of a question."""
    return frozenset(search_tokens(text))


def sentence_spans(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence, without surrounding whitespace; together they cover all other characters."""
    end = len(text) if end is None else end
    for match in _SENTENCE_END.finditer(text, start, end):
        if match["stop"] and match["next"].islower():  # an abbreviation; scripts without capitals are not lower case
            continue
        yield from _strip_span(text, start, match.end())
        start = match.end()
    yield from _strip_span(text, start, end)


def _strip_span(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield start, end
