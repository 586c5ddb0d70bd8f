"""The content of a document over HTTP: its file, the text and the image of a page, the place of a quote, the outline.

A browser may keep an image, but asks before it uses the image again: a deleted document is not shown.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from flask import Response, request, send_file

from api.document_checks import DocumentNotAvailable
from api.documents import blueprint
from api.http.browser_guard import REVALIDATED
from api.http.run_in_threadpool import run_in_threadpool
from api.http.upload_parsing import FILE_SCHEMA, document_errors
from api.http.validation import InvalidFields
from api.schemas import document_examples as examples
from api.schemas.document_content import Outline, Page, QuoteBoxes
from api.schemas.examples import headers
from api.schemas.requests import BoxesQuery, ImageQuery
from api.services import services
from documents.errors import NoPageImage, PageNotFound
from documents.factory import open_files, open_page_texts
from jobs import document_lookup
from jobs.documents import DocumentRecord, DocumentState, unavailable_error
from jobs.errors import DocumentNotFound

_SANDBOX: Final = {"Content-Security-Policy": "sandbox; default-src 'none'"}
_PAGE_PATH: Final = "/<document_id>/pages/<int:page>"
_PAGE_PARAMETERS: Final = [examples.DOCUMENT_ID, examples.PAGE_NUMBER]
_CACHE_HEADERS: Final = headers("ETag", "Cache-Control")
_IMAGE_SCHEMA: Final = {"type": "string", "contentMediaType": "image/png", "description": "The image."}


@blueprint.route("/<document_id>/file", parameters=[examples.DOCUMENT_ID])
@blueprint.alt_response(
    200,
    schema=FILE_SCHEMA,
    description="The file as it was uploaded, or without its password.",
    content_type="application/octet-stream",
    headers=headers("Content-Disposition"),
)
@blueprint.problems(404, 501, 503)
def download_file(document_id: str) -> Any:
    """Download the file of a document, as it was uploaded.

    It is sent as an attachment of no particular type, because a browser that opened it could run what it contains.
    """
    record = _stored_record(document_id)
    files = run_in_threadpool(open_files, services().settings)
    with document_errors(), _file_errors():
        file = run_in_threadpool(files.open, document_id)
    response = send_file(
        file, "application/octet-stream", as_attachment=True, download_name=record.filename, etag=False, max_age=0
    )
    response.content_length = os.fstat(file.fileno()).st_size  # not that of the upload, if it had a password
    response.headers.update(_SANDBOX)
    return response


@blueprint.route(_PAGE_PATH, parameters=_PAGE_PARAMETERS)
@blueprint.response(200, Page, description="The page.", example=examples.PAGE)
@blueprint.problems(404, 422, 501, 503)
def show_page(document_id: str, page: int) -> Any:
    """Show the text of a page, as chats search and cite it.

    A document without pages, such as a text, is page 1.
    """
    record = _ready_record(document_id)
    return Page.of(record, page, _page_text(record, page))


@blueprint.route(f"{_PAGE_PATH}/image", parameters=_PAGE_PARAMETERS)
@blueprint.arguments(ImageQuery, location="query")
@blueprint.alt_response(
    200, schema=_IMAGE_SCHEMA, description="The image.", content_type="image/png", headers=_CACHE_HEADERS
)
@blueprint.alt_response(304, description="Not modified: the ETag still matches.", headers=_CACHE_HEADERS)
@blueprint.problems(404, 422, 501, 503)
def show_page_image(query: ImageQuery, document_id: str, page: int) -> Any:
    """Show a page of a PDF as an image.

    Only PDFs have images: the response for other documents is 404 `no_page_image`. The pages of a PDF that could not be
    ingested, such as a scan, can be shown too.
    """
    record = _stored_record(document_id)
    cache_headers = dict((("ETag", _image_tag(record, page, query.width)), REVALIDATED))
    with document_errors(), _pdf(record) as path:
        if request.if_none_match.contains_raw(cache_headers["ETag"]):
            return Response(status=304, headers=cache_headers)
        image = services().viewer.draw(path, page, query.width)
    return Response(image.png, mimetype="image/png", headers=cache_headers | _SANDBOX)


@blueprint.route(f"{_PAGE_PATH}/boxes", parameters=_PAGE_PARAMETERS)
@blueprint.arguments(BoxesQuery, location="query")
@blueprint.response(200, QuoteBoxes, description="The boxes.", example=examples.BOXES)
@blueprint.problems(404, 422, 501, 503)
def show_quote_boxes(query: BoxesQuery, document_id: str, page: int) -> Any:
    """Find the rectangles that a quote covers on a page of a PDF.

    Give the quote by its position in the text of the page (`start` and `end`, as in sources and citations), or as
    `quote`. The position matters for a sentence that the page contains twice.
    """
    record = _ready_record(document_id)
    quote, text_before = _quote(query, record, page)
    with document_errors(), _pdf(record) as path:
        found = services().viewer.locate(path, page, quote, text_before)
    return QuoteBoxes.of(record, page, found)


@blueprint.route("/<document_id>/outline", parameters=[examples.DOCUMENT_ID])
@blueprint.response(200, Outline, description="The outline.", example=examples.OUTLINE)
@blueprint.problems(404, 422, 501, 503)
def show_outline(document_id: str) -> Any:
    """Show the table of contents that a PDF contains for its reader.

    It is empty for other documents.
    """
    record = _stored_record(document_id)
    if record.kind != "pdf":
        return Outline.of(record, [])
    with document_errors(), _pdf(record) as path:
        return Outline.of(record, services().viewer.outline(path))


def _stored_record(document_id: str) -> DocumentRecord:
    """The record of a document whose file is stored. Raises DocumentNotFound."""
    view = document_lookup.view(services().store, document_id)
    if view.state is DocumentState.DELETING:
        raise DocumentNotFound("the document was deleted in the meantime", param="document_id")
    return view.record


def _ready_record(document_id: str) -> DocumentRecord:
    """The record of a document whose text is stored. Raises DocumentNotFound, DocumentNotAvailable."""
    view = document_lookup.view(services().store, document_id)
    if error := unavailable_error(document_id, view):
        raise DocumentNotAvailable(error.code, error.message, "document_id")
    return view.record


def _page_text(record: DocumentRecord, page: int) -> str:
    with document_errors():
        if not 0 < page <= (record.pages or 0):
            raise PageNotFound(f"the document has {record.pages or 0} pages")
        texts = run_in_threadpool(open_page_texts, services().settings)
        try:
            return run_in_threadpool(texts.read, record.document_id, page)
        except FileNotFoundError:
            raise DocumentNotFound(
                "the text of the document is lost, or an older version has ingested it; delete it and upload it again",
                param="document_id",
            ) from None


def _quote(query: BoxesQuery, record: DocumentRecord, page: int) -> tuple[str, str | None]:
    """The quote, and the text of the page before it where it is known. Raises InvalidFields."""
    if query.quote is not None:
        if query.start is not None or query.end is not None:
            raise InvalidFields.in_query(["quote"], "cannot be combined with start and end")
        return query.quote, None
    if query.start is None or query.end is None:
        raise InvalidFields.in_query(["start", "end"], "give start and end, or quote")
    text = _page_text(record, page)
    if not query.start < query.end <= len(text):
        raise InvalidFields.in_query(["start", "end"], f"start must be before end, and end at most {len(text)}")
    return text[query.start : query.end], text[: query.start]


@contextmanager
def _pdf(record: DocumentRecord) -> Iterator[Path]:
    """A local copy of the document's file, if it is a PDF. Raises DocumentNotFound and DocumentError."""
    if record.kind != "pdf":
        raise NoPageImage
    files = run_in_threadpool(open_files, services().settings)
    copy = files.local_copy(record.document_id)
    with _file_errors():
        path = run_in_threadpool(copy.__enter__)
    try:
        yield path
    finally:
        run_in_threadpool(copy.__exit__, None, None, None)


@contextmanager
def _file_errors() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise DocumentNotFound("the document's file is lost; upload it again", param="document_id") from None


def _image_tag(record: DocumentRecord, page: int, width: int) -> str:
    digest = hashlib.sha256(f"{record.sha256}/{page}/{width}".encode())
    return f'"{digest.hexdigest()[:32]}"'
