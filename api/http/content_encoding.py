"""Decompresses request bodies block by block, so that a small body cannot fill the memory before it is refused."""

import sys
import zlib
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Final, TypeAlias

from jobs.errors import MalformedJson, UnsupportedMediaType

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Decode: TypeAlias = Callable[[bytes], Iterator[bytes]]
_DecodeFrame: TypeAlias = Callable[[bytes], Generator[bytes, None, bytes]]  # returns what follows the frame

_BLOCK_BYTES: Final = 64 * 1024
_MAX_FRAMES: Final = 128  # a body of empty frames would cost much CPU without exceeding any limit
_GZIP: Final = 16 + zlib.MAX_WBITS
_RAW_DEFLATE: Final = -zlib.MAX_WBITS
_ZLIB_METHOD: Final = 8  # the low half of the first byte of a zlib stream
_ZSTD_WINDOW_LOG: Final = 23  # 8 MiB, which RFC 8878 asks of every decoder; a body may ask for 128 MiB


def decoder(encoding: str | None) -> Decode | None:
    """A function that yields the blocks of a body without its Content-Encoding; None if there is none to remove.

    Raises UnsupportedMediaType for an unknown encoding. The function raises MalformedJson.
    """
    name = (encoding or "identity").strip().lower()
    if name == "identity":
        return None
    if name not in _DECODERS:
        supported = ", ".join(sorted(_DECODERS))
        raise UnsupportedMediaType(f"the Content-Encoding is not supported; send one of identity, {supported}")
    return partial(_decode, _DECODERS[name])


def _decode(decode_frame: _DecodeFrame, body: bytes) -> Iterator[bytes]:
    """A body may have several frames, one after the other: so gzip and zstd are defined."""
    try:
        for _ in range(_MAX_FRAMES):
            body = yield from decode_frame(body)
            if not body:
                return
    except Exception:  # noqa: BLE001  # zlib.error or zstd.ZstdError, whose text may quote the body
        raise MalformedJson("the body is not valid in its Content-Encoding") from None
    raise MalformedJson(f"the compressed body must have at most {_MAX_FRAMES} frames")


def _decode_zlib(body: bytes, window_bits: int) -> Generator[bytes, None, bytes]:
    inflater = zlib.decompressobj(window_bits)
    while not inflater.eof:
        block = inflater.decompress(body, _BLOCK_BYTES)
        body = inflater.unconsumed_tail
        if not (block or body or inflater.eof):
            raise EOFError
        yield block
    return inflater.unused_data


def _decode_deflate(body: bytes) -> Generator[bytes, None, bytes]:
    """With or without the header of zlib: clients disagree about `deflate`."""
    has_header = body[:1] and body[0] & 0x0F == _ZLIB_METHOD
    return _decode_zlib(body, zlib.MAX_WBITS if has_header else _RAW_DEFLATE)


def _decode_zstd(body: bytes) -> Generator[bytes, None, bytes]:
    decompressor = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})
    while not decompressor.eof:
        block = decompressor.decompress(body, _BLOCK_BYTES)
        body = b""
        if not (block or decompressor.eof) and decompressor.needs_input:
            raise EOFError
        yield block
    return decompressor.unused_data


_decode_gzip = partial(_decode_zlib, window_bits=_GZIP)
_DECODERS: Final[dict[str, _DecodeFrame]] = {
    "gzip": _decode_gzip,
    "x-gzip": _decode_gzip,
    "deflate": _decode_deflate,
    "zstd": _decode_zstd,
}
