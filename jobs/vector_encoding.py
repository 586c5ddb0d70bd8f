"""Vectors as text: base64 of little-endian float32, as in OpenAI's API.

A quarter of the bytes of decimal numbers, and fast to parse: 2,048 vectors of 3,072 numbers are 34 MB instead of 127.
"""

import array
import base64
import math
import sys
from collections.abc import Iterable


def pack(numbers: Iterable[float]) -> str:
    packed = array.array("f", numbers)
    _to_little_endian(packed)
    return base64.b64encode(packed.tobytes()).decode()


def unpack(text: str) -> "array.array[float]":
    """Raises ValueError (binascii.Error is one) for a text that is not a vector."""
    numbers = array.array("f")
    numbers.frombytes(base64.b64decode(text, validate=True))
    _to_little_endian(numbers)
    return numbers


def validated(text: str) -> str:
    """The same text. Raises ValueError unless it is a vector of finite numbers: JSON cannot express others."""
    numbers = unpack(text)
    if not numbers or not math.isfinite(sum(numbers)):  # float32 summed as float64 cannot overflow
        raise ValueError
    return text


def have_same_length(texts: Iterable[str]) -> bool:
    """Whether all vectors have the same dimension, which the length of their base64 shows."""
    return len(set(map(len, texts))) <= 1


def _to_little_endian(numbers: "array.array[float]") -> None:
    """Convert in place, in either direction."""
    if sys.byteorder == "big":
        numbers.byteswap()
