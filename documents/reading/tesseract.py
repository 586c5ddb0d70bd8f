"""Recognizes the text of an image with the C library of Tesseract, in the process that calls.

No program is started and no file is written, so it works in a confined process. Only the language data is read. One
recognition runs at a time.
"""

import ctypes
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_LIBRARIES: Final = ("libtesseract.so.5", "libtesseract.so.4", "libtesseract.5.dylib", "libtesseract.dylib")
_DATA_FOLDERS: Final = ("/usr/share/tesseract-ocr", "/usr/share/tessdata", "/usr/local/share/tessdata")
_DATA_VARIABLE: Final = "TESSDATA_PREFIX"
_ORIENTATION: Final = "osd"  # data that tells which side of a page is up
_FIND_ORIENTATION: Final = 1  # page segmentation modes
_KEEP_ORIENTATION: Final = 3
_MIN_CONFIDENCE: Final = 30  # of 100, mean of a page: photos and drawings that are taken for text have less


class NotInstalled(Exception):
    """The library is not installed."""


class LanguageMissing(Exception):
    """The data of a language is not installed."""


class TookTooLong(Exception):
    """The recognition was stopped at its time limit."""


@dataclass(frozen=True, slots=True)
class Image:
    """Grey pixels, row by row."""

    pixels: Any  # a buffer of ctypes
    width: int
    height: int
    row_bytes: int
    dots_per_inch: int


def data_folders() -> list[Path]:
    """Where the data of the languages may be."""
    return [Path(folder) for folder in (*_DATA_FOLDERS, os.environ.get(_DATA_VARIABLE)) if folder]


class Tesseract:
    """Raises NotInstalled and LanguageMissing."""

    def __init__(self, languages: str) -> None:
        """``languages``: names of Tesseract, separated by plus signs, such as "eng+deu"."""
        os.environ["OMP_THREAD_LIMIT"] = "1"  # a confined process may start no threads
        self._library = _load()
        self._api = self._library.TessBaseAPICreate()
        weakref.finalize(self, self._library.TessBaseAPIDelete, self._api)
        if self._library.TessBaseAPIInit3(self._api, None, languages.encode()) != 0:
            raise LanguageMissing
        available = self._available()
        if not available.issuperset(languages.split("+")):
            raise LanguageMissing
        mode = _FIND_ORIENTATION if _ORIENTATION in available else _KEEP_ORIENTATION
        self._library.TessBaseAPISetPageSegMode(self._api, mode)

    def recognize(self, image: Image, seconds: float) -> str:
        """The text; "" if there is none, or none that can be trusted. Raises TookTooLong."""
        library, api = self._library, self._api
        library.TessBaseAPISetImage(api, image.pixels, image.width, image.height, 1, image.row_bytes)
        library.TessBaseAPISetSourceResolution(api, image.dots_per_inch)
        try:
            with self._deadline(seconds) as monitor:
                if library.TessBaseAPIRecognize(api, monitor) != 0:
                    raise TookTooLong
            return self._text() if library.TessBaseAPIMeanTextConf(api) >= _MIN_CONFIDENCE else ""
        finally:
            library.TessBaseAPIClear(api)

    @contextmanager
    def _deadline(self, seconds: float) -> Iterator[Any]:
        monitor = self._library.TessMonitorCreate()
        self._library.TessMonitorSetDeadlineMSecs(monitor, int(seconds * 1_000))
        try:
            yield monitor
        finally:
            self._library.TessMonitorDelete(monitor)

    def _text(self) -> str:
        address = self._library.TessBaseAPIGetUTF8Text(self._api)
        if not address:
            return ""
        try:
            return ctypes.string_at(address).decode(errors="replace")
        finally:
            self._library.TessDeleteText(address)

    def _available(self) -> set[str]:
        """The languages whose data is installed."""
        names = self._library.TessBaseAPIGetAvailableLanguagesAsVector(self._api)
        found, index = set(), 0
        while name := names[index]:
            found.add(name.decode())
            index += 1
        self._library.TessDeleteTextArray(names)
        return found


def _load() -> Any:
    for name in _LIBRARIES:
        try:
            library = ctypes.CDLL(name)
            break
        except OSError:
            continue
    else:
        raise NotInstalled
    pointer, number = ctypes.c_void_p, ctypes.c_int
    for function, result, arguments in (
        ("TessBaseAPICreate", pointer, ()),
        ("TessBaseAPIInit3", number, (pointer, ctypes.c_char_p, ctypes.c_char_p)),
        ("TessBaseAPISetPageSegMode", None, (pointer, number)),
        ("TessBaseAPISetImage", None, (pointer, pointer, number, number, number, number)),
        ("TessBaseAPISetSourceResolution", None, (pointer, number)),
        ("TessBaseAPIRecognize", number, (pointer, pointer)),
        ("TessBaseAPIMeanTextConf", number, (pointer,)),
        ("TessBaseAPIGetUTF8Text", pointer, (pointer,)),
        ("TessBaseAPIGetAvailableLanguagesAsVector", ctypes.POINTER(ctypes.c_char_p), (pointer,)),
        ("TessBaseAPIClear", None, (pointer,)),
        ("TessBaseAPIDelete", None, (pointer,)),
        ("TessDeleteText", None, (pointer,)),
        ("TessDeleteTextArray", None, (ctypes.POINTER(ctypes.c_char_p),)),
        ("TessMonitorCreate", pointer, ()),
        ("TessMonitorDelete", None, (pointer,)),
        ("TessMonitorSetDeadlineMSecs", None, (pointer, number)),
    ):
        entry = getattr(library, function)
        entry.restype, entry.argtypes = result, arguments
    return library
