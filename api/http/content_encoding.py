"""Decompresses request bodies block by block, so that a small body cannot fill the memory before it is refused."""

import importlib
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, TypeAlias

from jobs.errors import MalformedJson, UnsupportedMediaType

Decode: TypeAlias = Callable[[bytes], Iterator[bytes]]

_BLOCK_BYTES: Final = 64 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS
_RAW_DEFLATE: Final = -zlib.MAX_WBITS
_ZLIB_METHOD: Final = 8  # the low half of the first byte of a zlib stream
_ZSTD_WINDOW_LOG: Final = 23  # 8 MiB, which RFC 8878 asks of every decoder; a body may ask for 128 MiB


def decoder(encoding: str | None) -> Decode | None:
    """A function that yields the blocks of a body without its Content-Encoding; None if there is none to remove.

    Raises UnsupportedMediaType for an unknown encoding; zstd needs Python 3.14. The function raises MalformedJson.
    """
    name = (encoding or "identity").strip().lower()
    if name == "identity":
        return None
    if name not in _DECODERS:
        supported = ", ".join(sorted(_DECODERS))
        raise UnsupportedMediaType(f"the Content-Encoding is not supported; send one of identity, {supported}")
    return partial(_decode, _DECODERS[name])


def _decode(decode: Decode, body: bytes) -> Iterator[bytes]:
    try:
        yield from decode(body)
    except Exception:  # noqa: BLE001  # zlib.error or the error of another library; its text may quote the body
        raise MalformedJson("the body is not valid in its Content-Encoding") from None


def _inflate(body: bytes, window_bits: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(window_bits)
    while not inflater.eof:
        block = inflater.decompress(body, _BLOCK_BYTES)
        body = inflater.unconsumed_tail
        if not (block or body or inflater.eof):
            raise EOFError
        yield block


def _inflate_deflate(body: bytes) -> Iterator[bytes]:
    """With or without the header of zlib: clients disagree about `deflate`."""
    has_header = body[:1] and body[0] & 0x0F == _ZLIB_METHOD
    return _inflate(body, zlib.MAX_WBITS if has_header else _RAW_DEFLATE)


def _decode_zstd(zstd: Any, body: bytes) -> Iterator[bytes]:
    decompressor = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})
    while not decompressor.eof:
        block = decompressor.decompress(body, _BLOCK_BYTES)
        body = b""
        if not block and decompressor.needs_input:
            raise EOFError
        yield block


def _decoders() -> dict[str, Decode]:
    gzip = partial(_inflate, window_bits=_GZIP)
    known: dict[str, Decode] = {"gzip": gzip, "x-gzip": gzip, "deflate": _inflate_deflate}
    try:
        return known | {"zstd": partial(_decode_zstd, importlib.import_module("compression.zstd"))}
    except ImportError:
        return known


_DECODERS: Final = _decoders()
