"""Compressed request bodies. The limit of a body's size holds for the decompressed body."""

import importlib
import zlib
from collections.abc import Callable
from typing import Any, Final

from jobs.errors import BodyTooLarge, MalformedJson, UnsupportedMediaType

_GZIP: Final = 16 + zlib.MAX_WBITS
_RAW_DEFLATE: Final = -zlib.MAX_WBITS
_ZLIB_METHOD: Final = 8  # the low half of the first byte of a zlib stream


def decoded_body(body: bytes, encoding: str | None, max_bytes: int) -> bytes:
    """The body without its Content-Encoding.

    Raises UnsupportedMediaType for an unknown encoding, MalformedJson for a body that cannot be decompressed, and
    BodyTooLarge. zstd needs Python 3.14.
    """
    name = (encoding or "identity").strip().lower()
    if name == "identity":
        return body
    decompress = _DECOMPRESSORS.get(name)
    if decompress is None:
        supported = ", ".join(sorted(_DECOMPRESSORS))
        raise UnsupportedMediaType(f"the Content-Encoding is not supported; send one of identity, {supported}")
    try:
        decoded, is_complete = decompress(body, max_bytes + 1)
    except Exception:  # noqa: BLE001  # zlib.error or the error of another library; its text may quote the body
        decoded, is_complete = b"", False
    if len(decoded) > max_bytes:
        raise BodyTooLarge(f"the decompressed body must have at most {max_bytes} bytes")
    if not is_complete:
        raise MalformedJson("the body is not valid in its Content-Encoding")
    return decoded


def _inflate(body: bytes, max_bytes: int, window_bits: int) -> tuple[bytes, bool]:
    inflater = zlib.decompressobj(window_bits)
    decoded = inflater.decompress(body, max_bytes)
    return decoded, inflater.eof


def _gzip(body: bytes, max_bytes: int) -> tuple[bytes, bool]:
    return _inflate(body, max_bytes, _GZIP)


def _deflate(body: bytes, max_bytes: int) -> tuple[bytes, bool]:
    """With or without the header of zlib: clients disagree about `deflate`."""
    has_header = body[:1] and body[0] & 0x0F == _ZLIB_METHOD
    return _inflate(body, max_bytes, zlib.MAX_WBITS if has_header else _RAW_DEFLATE)


def _zstd(module: Any) -> Callable[[bytes, int], tuple[bytes, bool]]:
    def decompress(body: bytes, max_bytes: int) -> tuple[bytes, bool]:
        decompressor = module.ZstdDecompressor()
        return decompressor.decompress(body, max_bytes), decompressor.eof

    return decompress


def _decompressors() -> dict[str, Callable[[bytes, int], tuple[bytes, bool]]]:
    known: dict[str, Callable[[bytes, int], tuple[bytes, bool]]] = {"gzip": _gzip, "x-gzip": _gzip, "deflate": _deflate}
    try:
        return known | {"zstd": _zstd(importlib.import_module("compression.zstd"))}
    except ImportError:
        return known


_DECOMPRESSORS: Final = _decompressors()
