"""Streams an uploaded file from the request. No more than one block of it is in memory.

The file is either a form field (multipart/form-data), or the whole body, with its name in the query.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Final

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from api.http.upload_body import FORM_OVERHEAD_BYTES, UploadBody, open_body
from documents.charsets import find_codec
from documents.errors import (
    DocumentError,
    DocumentsNotInstalled,
    DocumentTooLarge,
    FilesUnavailable,
    StorageFull,
    UnreadableDocument,
    UnsupportedDocument,
    WrongPassword,
)
from jobs.errors import ChatqueueError, MalformedUpload, UnsupportedMediaType
from jobs.settings import Settings

_OFFICE_NAMES: Final = ("wordprocessingml.document", "spreadsheetml.sheet", "presentationml.presentation")
_RAW_TYPES: Final = (
    *("application/pdf", "text/plain", "text/markdown", "text/html", "text/csv", "application/json"),
    *("application/xhtml+xml", "message/rfc822", "application/octet-stream"),
    *(f"application/vnd.openxmlformats-officedocument.{name}" for name in _OFFICE_NAMES),
    *(f"application/vnd.oasis.opendocument.{name}" for name in ("text", "spreadsheet", "presentation")),
    *("application/vnd.ms-excel", "application/epub+zip"),
)
_FORM_TYPE: Final = "multipart/form-data"
_PASSWORD_FIELD: Final = "password"  # noqa: S105  # its name
_PASSWORD_HEADER: Final = "X-Document-Password"  # noqa: S105
PASSWORD_HEADER: Final = {
    "name": _PASSWORD_HEADER,
    "in": "header",
    "description": "The password of a PDF that is the body itself, in UTF-8 or Latin-1. A form has a field `password`.",
    "schema": {"type": "string", "format": "password"},
}
_MAX_PASSWORD_BYTES: Final = 1_024
_BLOCK_BYTES: Final = 64 * 1024
_HEADERS_END: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LATIN: Final = "cp1252"
_BINARY: Final = "binary"  # what `file --mime` calls the charset of a PDF
_MAX_PARTS: Final = 20
_REQUIRED_MODULES: Final = ("lancedb", "pypdfium2")
_STATUS_BY_ERROR: Final = {
    DocumentTooLarge: 413,
    UnsupportedDocument: 415,
    DocumentsNotInstalled: 501,
    FilesUnavailable: 503,
    StorageFull: 507,
}
_DEFAULT_STATUS: Final = 422

FILE_SCHEMA: Final = {
    "type": "string",
    "contentMediaType": "application/octet-stream",
    "description": "The content of the file.",
}
UPLOAD_BODY: Final = {
    "required": True,
    "description": "The file, as a form field or as the body itself.",
    "content": {
        _FORM_TYPE: {
            "schema": {
                "type": "object",
                "properties": {"file": FILE_SCHEMA, _PASSWORD_FIELD: {"type": "string", "format": "password"}},
                "required": ["file"],
            }
        },
        **{name: {"schema": FILE_SCHEMA | {"contentMediaType": name}} for name in _RAW_TYPES},
    },
}


class DocumentRejected(ChatqueueError):
    """A document error with an HTTP status. ``code`` is the document error's own."""

    def __init__(self, error: DocumentError) -> None:
        is_password = isinstance(error, WrongPassword)
        param = _PASSWORD_FIELD if is_password else "file" if isinstance(error, UnreadableDocument) else None
        super().__init__(error.message, param=param)
        self.code = error.code  # type: ignore[misc]  # one class, many codes
        self.http_status = _STATUS_BY_ERROR.get(type(error), _DEFAULT_STATUS)  # type: ignore[misc]


@contextmanager
def document_errors() -> Iterator[None]:
    """Raises DocumentRejected for each DocumentError raised in the block."""
    try:
        yield
    except DocumentError as error:
        raise DocumentRejected(error) from None


def check_installed() -> None:
    """Raises DocumentRejected if the extra `documents` is missing. Imports nothing: LanceDB must not be loaded here."""
    if not _is_installed():
        raise DocumentRejected(DocumentsNotInstalled())


@cache
def _is_installed() -> bool:
    return all(find_spec(name) for name in _REQUIRED_MODULES)


@dataclass(frozen=True)
class Upload:
    """A file. ``read`` returns b"" at the end, and raises DocumentTooLarge, and MalformedUpload for a cut file.

    ``media_type`` and ``charset``: as its sender declares them. ``password``: call it once the file has been read,
    because a form may name it after the file.
    """

    filename: str
    media_type: str
    charset: str | None
    read: Callable[[int], bytes]
    password: Callable[[], str | None]


@contextmanager
def open_upload(request: Request, filename: str, settings: Settings) -> Iterator[Upload]:
    """The request's file, open during the block. Raises UnsupportedMediaType, MalformedUpload and DocumentTooLarge."""
    boundary = request.mimetype_params.get("boundary", "")
    if request.mimetype not in _RAW_TYPES and (request.mimetype != _FORM_TYPE or not boundary):
        raise UnsupportedMediaType(f"send the file as {_FORM_TYPE} with a boundary, or as {', '.join(_RAW_TYPES)}")
    with open_body(request, settings.document_max_bytes, settings.document_upload_seconds) as body:
        if request.mimetype in _RAW_TYPES:
            charset, password = _checked_charset(request.mimetype_params), request.headers.get(_PASSWORD_HEADER)
            yield Upload(filename, request.mimetype, charset, body.read, lambda: _decoded(password))
        else:
            form = _Form(body, boundary)
            file = form.open()
            media_type, options = parse_options_header(file.headers.get("content-type"))
            yield Upload(file.filename, media_type.lower(), _checked_charset(options), form.read, form.password)


def _checked_charset(options: Mapping[str, str]) -> str | None:
    """Raises UnsupportedMediaType for an unknown one."""
    charset = options.get("charset")
    if not charset or charset.lower() == _BINARY:
        return None
    if find_codec(charset) is None:
        raise UnsupportedMediaType("the charset of the file is unknown; use for example utf-8 or windows-1252")
    return charset


def _decoded(header: str | None) -> str | None:
    """A header in UTF-8 or Latin-1. WSGI passes both on as Latin-1."""
    try:
        return header.encode("latin-1").decode() if header else None
    except UnicodeDecodeError:
        return header


class _Form:
    """The file of a form that has exactly one, and its password. Other fields are ignored."""

    def __init__(self, body: UploadBody, boundary: str) -> None:
        self._body = body
        self._decoder = MultipartDecoder(
            boundary.encode(), max_form_memory_size=2 * FORM_OVERHEAD_BYTES, max_parts=_MAX_PARTS
        )
        self._is_in_file = False
        self._password = b""
        self._is_in_password = False

    def password(self) -> str | None:
        return self._password.decode(errors="replace") or None

    def open(self) -> File:
        """Skips to the file and returns its headers."""
        event = self._next()
        while not isinstance(event, File):
            if isinstance(event, Epilogue):
                raise MalformedUpload("the form has no file", param="file")
            self._keep_password(event)
            event = self._next()
        self._is_in_file = True
        return event

    def read(self, _size: int) -> bytes:
        while self._is_in_file:
            event = self._next()
            if isinstance(event, Data):
                self._is_in_file = event.more_data
                if event.data:
                    return bytes(event.data)
        self._check_rest()
        return b""

    def _check_rest(self) -> None:
        while not isinstance(event := self._next(), Epilogue):
            if isinstance(event, File):
                raise MalformedUpload("the form must have exactly one file", param="file")
            self._keep_password(event)

    def _keep_password(self, event: Event) -> None:
        if isinstance(event, Field):
            self._is_in_password = event.name == _PASSWORD_FIELD
        elif isinstance(event, Data) and self._is_in_password:
            self._password += event.data
            if len(self._password) > _MAX_PASSWORD_BYTES:
                raise MalformedUpload(f"a password has at most {_MAX_PASSWORD_BYTES} bytes", param=_PASSWORD_FIELD)

    def _next(self) -> Event:
        while isinstance(event := self._decode_event(), NeedData):
            self._feed(self._body.read(_BLOCK_BYTES))
        return event

    def _decode_event(self) -> Event:
        with _form_errors():
            try:
                return self._decoder.next_event()
            except UnicodeDecodeError:
                self._recode_headers()
                return self._decoder.next_event()

    def _recode_headers(self) -> None:
        """Old programs send filenames in Latin-1. The decoder reads UTF-8 only, and still has them in its buffer."""
        if end := _HEADERS_END.search(self._decoder.buffer):
            headers = self._decoder.buffer[: end.start()].decode(_LATIN, errors="replace")
            self._decoder.buffer[: end.start()] = headers.encode()

    def _feed(self, block: bytes) -> None:
        with _form_errors():
            self._decoder.receive_data(block or None)


@contextmanager
def _form_errors() -> Iterator[None]:
    try:
        yield
    except RequestEntityTooLarge:
        raise MalformedUpload(f"the form has more than {_MAX_PARTS} parts, or too long headers") from None
    except (ValueError, AttributeError):  # AttributeError: a part without a header line, in werkzeug 3.1
        raise MalformedUpload("the body is not a well-formed form, or it ended early") from None
