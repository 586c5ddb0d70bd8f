"""Vectors from text without a model: each word adds its own pattern, so texts that share words are near."""

import base64
import hashlib
import math
import re
import struct
from collections import Counter

DEFAULT_DIMENSIONS = 384
# Places that a word touches: with fewer, two words collide in a small vector; more only cost time.
_COMPONENTS_PER_WORD = 16
_PATTERN = struct.Struct(f"<{_COMPONENTS_PER_WORD}I")
_WORD = re.compile(r"\w+")


def embed(text: str, dimensions: int) -> list[float]:
    """A vector of length 1, the same for the same text in every process and version."""
    vector = [0.0] * dimensions
    for word, count in Counter(_WORD.findall(text.lower()) or [text]).items():
        digest = hashlib.shake_128(word.encode()).digest(_PATTERN.size)
        for number in _PATTERN.unpack(digest):
            vector[(number >> 1) % dimensions] += count if number & 1 else -count
    length = math.hypot(*vector)
    if length == 0.0:  # all patterns cancelled out: a vector of length 0 has no direction to compare
        return [1.0] + [0.0] * (dimensions - 1)
    return [value / length for value in vector]


def to_base64(vector: list[float]) -> str:
    """Little-endian float32, as the `openai` client asks for by default."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
