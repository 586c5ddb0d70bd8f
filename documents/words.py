"""The words of a text in any language, without a model: for the full-text index, the selection and the citations alike.

    fold     one form of equal texts: compatibility forms (ligatures, width), case, accents, invisible characters
    cut      words; pairs of characters in scripts that are written without blanks (Chinese, Japanese, Thai, ...)
    reduce   light stems, and beginnings of words, which match other endings and compounds ("Urlaub*")

A text offers more tokens than a question asks for: a question in English asks for stems, and a question in a language
with many endings or compounds asks for beginnings. Both are in `text_tokens` of every text.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from documents.stop_words import (
    JAPANESE_PARTICLES,
    KOREAN_ENDINGS,
    KOREAN_STOP_WORDS,
    STOP_WORDS,
    UNSPACED_STOP_WORDS,
)

_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u0640\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
# Letters that no decomposition reduces to the base letter by which people search.
_LETTERS: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ς": "σ",
     "أ": "ا", "إ": "ا", "آ": "ا", "ى": "ي", "ی": "ي", "ک": "ك", "ة": "ه", "’": "'"}
)  # fmt: skip
_ACCENTS: Final = frozenset([*range(10, 37), 107, *range(200, 256)])
_HAN: Final = "\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA: Final = "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
_SOUTH_EAST_ASIAN: Final = "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ede\u1000-\u109f\u1780-\u17d3"
_UNSPACED: Final = f"{_HAN}{_KANA}{_SOUTH_EAST_ASIAN}"
_HANGUL: Final = "\uac00-\ud7a3"
_INDIC_MARKS: Final = "\u0900-\u0963\u0970-\u0dff"  # \w does not contain vowel signs; the danda ends a sentence
_BLANK_IN_UNSPACED: Final = re.compile(f"(?<=[{_HAN}{_KANA}])\\s+(?=[{_HAN}{_KANA}])")
_CUT: Final = re.compile(
    f"(?P<han>[{_HAN}]+)|(?P<kana>[{_KANA}]+)|(?P<asian>[{_SOUTH_EAST_ASIAN}]+)|(?P<hangul>[{_HANGUL}]+)"
    f"|(?P<word>(?:[^\\W_{_UNSPACED}{_HANGUL}]|[{_INDIC_MARKS}])+)"
)
_SUFFIXES: Final = ("ations", "ation", "ings", "ing", "ies", "ied", "ers", "ed", "es", "er", "ly", "s", "y", "e")
# The first match decides: a Japanese text contains Chinese characters too.
_LETTERS_OF_LANGUAGE: Final = {
    "ja": re.compile(f"[{_KANA}]"),
    "ko": re.compile(f"[{_HANGUL}]"),
    "zh": re.compile(f"[{_HAN}]"),
    "th": re.compile("[\u0e01-\u0e4e]"),
    "el": re.compile("[\u0370-\u03ff]"),
    "he": re.compile("[\u05d0-\u05ea]"),
    "hi": re.compile("[\u0900-\u097f]"),
    "uk": re.compile("[\u0456\u0454\u0491]"),
    "ru": re.compile("[\u0430-\u044f]"),
}
_KOREAN_ENDING: Final = re.compile(f"(?<=.)(?:{'|'.join(sorted(KOREAN_ENDINGS, key=len, reverse=True))})$")
_MIN_STEM_CHARS: Final = 3
_MAX_WORD_CHARS: Final = 40
_ARABIC_PREFIXES: Final = re.compile("^(?:[وفبكل]?ال|لل|و(?=.{4}))(?=.{3})")
_ARABIC_SUFFIXES: Final = re.compile("(?<=.{3})(?:هما|ات|ون|ين|ان|ها|هم|يه|ه|ي)$")
_HEBREW_AFFIXES: Final = re.compile("^[והבכלמש](?=.{3})|(?<=.{3})(?:ים|ות)$")
_SHORT_BEGINNING: Final = 4  # letters
_LONG_BEGINNING: Final = 5  # letters; common to most forms of a word in languages with many endings
_LONG_WORD: Final = 7  # letters; a question asks for the long beginning of such words, and else for the short one


def _is_accent(char: str) -> bool:
    """By combining class: 10 to 36 are Hebrew and Arabic points, 107 Thai tones, 200 and more accents."""
    return unicodedata.combining(char) in _ACCENTS


def fold(text: str) -> str:
    """The form in which equal texts are equal: NFKC, case folding, and no accents or invisible characters.

    Vowel signs that distinguish words (Indic scripts, Thai, Japanese) are kept.
    """
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKD", _INVISIBLE.sub("", text)).casefold()
    text = "".join(char for char in text if not _is_accent(char))
    return _BLANK_IN_UNSPACED.sub("", unicodedata.normalize("NFKC", text).translate(_LETTERS))


_STOP_WORDS: Final = {language: frozenset(map(fold, words)) for language, words in STOP_WORDS.items()}
_UNSPACED_STOP_WORD: Final = re.compile(
    "|".join(map(fold, sorted(UNSPACED_STOP_WORDS, key=len, reverse=True)))
    + "|(?<![\u3041-\u3096])[" + JAPANESE_PARTICLES + "](?![\u3041-\u3096])"
)  # fmt: skip


def text_tokens(text: str) -> list[str]:
    """All tokens by which the text can be found, in order."""
    return [token for kind, word in _cut(fold(text)) for token in _text_forms(kind, word)]


def question_tokens(text: str) -> list[str]:
    """The tokens of the subject of a question or statement, in order: function words are left out."""
    folded = fold(text)
    words = list(_cut(folded if folded.isascii() else _UNSPACED_STOP_WORD.sub(" ", folded)))
    language = _language({word for _, word in words})
    ignored = _STOP_WORDS[language]
    return [
        token for kind, word in words if word not in ignored for token in _question_forms(kind, word, language == "en")
    ]


def _cut(folded: str) -> Iterator[tuple[str, str]]:
    for match in _CUT.finditer(folded):
        yield match.lastgroup or "word", match[0]


def language_of(text: str) -> str:
    """The language of the text (ISO 639-1) by its script and function words; English if they do not show it."""
    folded = fold(text)
    for language, letters in _LETTERS_OF_LANGUAGE.items():
        if letters.search(folded):
            return language
    return _language({word for _, word in _cut(folded)})


def ends_with_function_word(text: str) -> bool:
    """Whether the last word is a function word of any of the languages, such as "the" or "und"."""
    last_words = list(_cut(fold(text[-_MAX_WORD_CHARS:])))
    return bool(last_words) and any(last_words[-1][1] in words for words in _STOP_WORDS.values())


def _language(words: set[str]) -> str:
    """The language with the most function words in the text; English if there is none."""
    return max(_STOP_WORDS, key=lambda language: len(words & _STOP_WORDS[language]))  # English is first


def _text_forms(kind: str, word: str) -> tuple[str, ...]:
    if kind == "word":
        return _word_forms(word)
    return _unspaced_forms(kind, word)


@lru_cache(maxsize=20_000)  # a question reads 5,000 words, most of them repeatedly: a third of the time
def _word_forms(word: str) -> tuple[str, ...]:
    forms = [_stem(word)]
    if _has_beginnings(word):
        forms += [word[:length] + "*" for length in (_SHORT_BEGINNING, _LONG_BEGINNING) if len(word) >= length]
    return tuple(forms)


@lru_cache(maxsize=20_000)
def _question_forms(kind: str, word: str, is_english: bool) -> tuple[str, ...]:
    if kind != "word":
        return _unspaced_forms(kind, word)
    if (is_english and word.isascii()) or not _has_beginnings(word):
        return (_stem(word),)
    length = _LONG_BEGINNING if len(word) >= _LONG_WORD else _SHORT_BEGINNING
    return (word[:length] + "*",) if len(word) >= length else (_stem(word),)


def _has_beginnings(word: str) -> bool:
    """Semitic words change inside and at the front; a number has no endings."""
    return not ("\u0590" <= word[0] <= "\u07bf" or any(char.isdigit() for char in word))


def _stem(word: str) -> str:
    if "\u0600" <= word[0] <= "\u06ff":
        return _ARABIC_SUFFIXES.sub("", _ARABIC_PREFIXES.sub("", word))
    if "\u0590" <= word[0] <= "\u05ff":
        return _HEBREW_AFFIXES.sub("", word)
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _MIN_STEM_CHARS:
            return word.removesuffix(suffix)
    return word


@lru_cache(maxsize=20_000)
def _unspaced_forms(kind: str, run: str) -> tuple[str, ...]:
    """Characters and pairs of Chinese characters, pairs of kana and Hangul, triples of South-East Asian letters."""
    if kind == "hangul":
        run = _KOREAN_ENDING.sub("", run)
        if run in KOREAN_STOP_WORDS:
            return ()
    pairs = _grams(run, 3 if kind == "asian" else 2)
    return (*run, *pairs) if kind == "han" and len(run) > 1 else pairs


def _grams(run: str, size: int) -> tuple[str, ...]:
    return tuple(run[start : start + size] for start in range(max(1, len(run) - size + 1)))
