"""Measures the images, files and audio in a JSON body. They may be large, while the rest costs more to read."""

import re
from typing import Final

# Linear for any body: each pattern begins with a literal, and what it has matched is not looked at again.
_DATA: Final = rb"(?:[A-Za-z0-9+/=_-]++|\\/)*+"  # base64; some encoders escape every slash in JSON
_FILES: Final = tuple(
    re.compile(beginning + _DATA)
    for beginning in (rb";base64,", rb'"data"\s*+:\s*+"', rb'"file_data"\s*+:\s*+"', rb'"result"\s*+:\s*+"')
)


def bytes_without_files(body: bytes) -> int:
    """The size of a JSON body without the base64 data in it: of data URLs, and of the fields that contain files."""
    return len(body) - sum(len(match[0]) for pattern in _FILES for match in pattern.finditer(body))
