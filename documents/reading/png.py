"""Writes a PNG from pixels, as the standard defines it (ISO/IEC 15948): without filters, in one compressed block."""

import struct
import zlib
from typing import Final

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_BITS: Final = 8  # per colour
_RGB: Final = 2  # the standard's number of the colour type
_COMPRESSION: Final = 6


def encode_png(pixels: memoryview, width: int, height: int, stride: int) -> bytes:
    """``pixels``: rows of red, green and blue bytes, from the top; each row starts ``stride`` bytes after the last."""
    row_bytes = 3 * width
    compressor = zlib.compressobj(_COMPRESSION)
    data = bytearray()
    for row in range(height):
        data += compressor.compress(b"\0")  # the row's filter: none
        data += compressor.compress(pixels[row * stride : row * stride + row_bytes])
    data += compressor.flush()
    header = struct.pack(">IIBBBBB", width, height, _BITS, _RGB, 0, 0, 0)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", bytes(data)) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
