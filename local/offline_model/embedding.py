"""Vectors from text without a model. Each word adds its own pattern, so texts that share words are similar."""

import base64
import hashlib
import math
import re
import struct
from collections import Counter

DEFAULT_DIMENSIONS = 384
# Positions that a word changes. With fewer, words collide in a small vector; more only cost time.
_COMPONENTS_PER_WORD = 16
_PATTERN = struct.Struct(f"<{_COMPONENTS_PER_WORD}I")
_WORD = re.compile(r"\w+")


def embed(text: str, dimensions: int) -> list[float]:
    """A vector of length 1. The same text gives the same vector in every process and version."""
    vector = [0.0] * dimensions
    for word, count in Counter(_WORD.findall(text.lower()) or [text]).items():
        digest = hashlib.shake_128(word.encode()).digest(_PATTERN.size)
        for number in _PATTERN.unpack(digest):
            vector[(number >> 1) % dimensions] += count if number & 1 else -count
    length = math.hypot(*vector)
    if length == 0.0:  # the patterns cancelled each other out: a vector of length 0 cannot be compared
        return [1.0] + [0.0] * (dimensions - 1)
    return [value / length for value in vector]


def to_base64(vector: list[float]) -> str:
    """Little-endian float32, the format that the `openai` client requests by default."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
