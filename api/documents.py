"""Documents over HTTP: upload, list, show, change and delete. Jobs ingest and remove them."""

from typing import Any, Final

from flask import request, url_for

from api.document_checks import check_embedding_model
from api.http.absence import confirmed_not_found
from api.http.pydantic_smorest import Blueprint
from api.http.run_in_threadpool import run_in_threadpool
from api.http.upload_parsing import (
    PASSWORD_HEADER,
    UPLOAD_BODY,
    Upload,
    check_installed,
    document_errors,
    open_upload,
)
from api.schemas import document_examples as examples
from api.schemas.documents import AcceptedDocument, Document, DocumentList
from api.schemas.examples import headers
from api.schemas.requests import DocumentChanges, DocumentsQuery, UploadQuery
from api.schemas.responses import POLL_SECONDS
from api.schemas.tasks import Task
from api.services import CallerServices, services
from documents.display_name import clean_filename
from documents.factory import open_files, unlock_limits
from documents.file_type import sniff_type
from documents.files import Files, StoredUpload
from documents.reading.unlocking import remove_password
from jobs import document_lookup
from jobs.document_id import new_document_id
from jobs.document_tags import split_tags
from jobs.documents import DocumentState, DocumentView, NewDocument
from jobs.errors import DocumentNotFound, StoreUnavailable
from jobs.kinds.ingest import IngestTask
from jobs.kinds.removal import RemovalTask
from jobs.models import new_job_id
from jobs.tenant import Tenant

blueprint = Blueprint(
    "documents", __name__, url_prefix="/documents", description="Documents that chats can use and cite"
)
blueprint.before_request(check_installed)

_ACCEPTED_HEADERS: Final = headers("Location", "Retry-After")
_MAX_TRIES: Final = 5  # to store one upload; a try fails if its document is deleted in the meantime


@blueprint.route("", methods=["POST"], parameters=[PASSWORD_HEADER])
@blueprint.arguments(UploadQuery, location="query")
@blueprint.raw_body(UPLOAD_BODY)
@blueprint.response(
    200, AcceptedDocument, description="The document already exists and is ready.", example=examples.KNOWN
)
@blueprint.alt_response(
    202,
    schema=AcceptedDocument,
    description="The document will be ingested, from this upload or an earlier one with the same content.",
    example=examples.ACCEPTED,
    headers=_ACCEPTED_HEADERS,
)
@blueprint.problems(400, 404, 413, 415, 422, 429, 501, 503, 507)
def upload_document(query: UploadQuery) -> Any:
    """Upload a document: a PDF, an Office document or spreadsheet, an e-book, text, Markdown, CSV, HTML, or a mail.

    Send the file as a form field or as the request body. A text is read in the charset of its content type, or in
    UTF-8. Uploads with the same content are one document, whatever their filenames. Uploading a failed document again
    starts a new attempt to ingest it. The password of a locked PDF is used once: the file is kept without it.
    """
    app_services = services()
    check_embedding_model()
    with document_errors(), open_upload(request, query.filename or "", app_services.settings) as upload:
        view = _store_upload(app_services, upload, split_tags(query.tags))
    return _accepted(app_services, view)


@blueprint.route("")
@blueprint.arguments(DocumentsQuery, location="query")
@blueprint.response(200, DocumentList, description="One page of documents.", example=examples.LIST)
@blueprint.problems(422, 501, 503)
def list_documents(query: DocumentsQuery) -> Any:
    """List the documents, newest first.

    A deleted document is listed until all of its data has been removed. With a filter, a page may be shorter
    than `limit` although `next_cursor` names a further one.
    """
    matches = query.matches if query.has_filter else None
    page = document_lookup.page(services().store, query.cursor, query.limit, matches)
    return DocumentList.of_page(page)


@blueprint.route("/<document_id>", parameters=[examples.DOCUMENT_ID])
@blueprint.response(200, Document, description="The document.", example=examples.DOCUMENT)
@blueprint.problems(404, 501, 503)
def show_document(document_id: str) -> Any:
    """Show a document: its status, progress, pages with problems, and error.

    While a document is `ingesting`, `pages_done` shows the progress.
    """
    return Document.of(document_lookup.view(services().store, document_id))


@blueprint.route("/<document_id>", methods=["PATCH"], parameters=[examples.DOCUMENT_ID])
@blueprint.arguments(DocumentChanges, examples=examples.CHANGES)
@blueprint.response(200, Document, description="The changed document.", example=examples.DOCUMENT)
@blueprint.problems(400, 404, 413, 415, 422, 501, 503)
def change_document(body: DocumentChanges, document_id: str) -> Any:
    """Rename a document, or replace its tags.

    Citations show the new filename from now on.
    """
    app_services = services()
    record = document_lookup.view(app_services.store, document_id).record
    filename = None if body.filename is None else clean_filename(body.filename)
    has_changes = filename is not None or body.tags is not None
    if has_changes and not app_services.store.edit_document(record, filename, body.tags):
        raise _not_found()
    return Document.of(document_lookup.view(app_services.store, document_id))


@blueprint.route("/<document_id>/ingest", methods=["POST"], parameters=[examples.DOCUMENT_ID])
@blueprint.response(
    202,
    AcceptedDocument,
    description="The stored file will be ingested again, or is being ingested.",
    example=examples.ACCEPTED,
    headers=_ACCEPTED_HEADERS,
)
@blueprint.problems(404, 429, 501, 503)
def ingest_again(document_id: str) -> Any:
    """Ingest the stored file of a document again.

    Use it after a change of the embedding model, or if a document has failed for a reason that has passed. Until the
    document is `ready` again, questions to it are rejected with `document_not_ready`.
    """
    app_services = services()
    check_embedding_model()
    view = document_lookup.view(app_services.store, document_id)
    if view.state is DocumentState.DELETING:
        raise _not_found()
    job_id = _make_next_owner(app_services, view)
    if job_id is None:
        raise _not_found()
    if job_id != view.record.job_id or not view.has_job:
        _submit_ingest(app_services, view, job_id)
    return _accepted(app_services, _live_view(app_services, document_id) or view)


@blueprint.route("/<document_id>", methods=["DELETE"], parameters=[examples.DOCUMENT_ID])
@blueprint.response(
    202,
    Task,
    description="Chats can no longer use the document. This task removes its chunks, vectors and file.",
    example=examples.REMOVAL,
    headers=_ACCEPTED_HEADERS,
)
@blueprint.problems(404, 429, 501, 503)
@confirmed_not_found()
def delete_document(document_id: str) -> Any:
    """Delete a document and cancel its ingest.

    May be repeated until the document no longer exists.
    """
    app_services = services()
    view = document_lookup.view(app_services.store, document_id)
    is_orphaned = view.state is DocumentState.DELETING and view.is_orphaned
    ended_job, new_job = (view.record.job_id, view.next_job_id(new_job_id())) if is_orphaned else ("", new_job_id())
    job_id = app_services.store.remove_document(view.record, ended_job, new_job)
    if job_id is None:
        raise _not_found()
    _cancel(app_services, view.record.job_id, unless=job_id)
    removal = RemovalTask(kind="removal", document_id=document_id, filename=view.record.filename)
    created = app_services.submit(removal, job_id=job_id)
    location = url_for("tasks.show_task", task_id=job_id)
    record = created.record or app_services.store.read_job(job_id)[0]
    if record is None:
        raise _not_found()
    return Task.of(record), 202, {"Location": location, "Retry-After": str(POLL_SECONDS)}


def _accepted(app_services: CallerServices, view: DocumentView) -> Any:
    """The response about a document that is ready, or will be ingested."""
    task, _ = app_services.store.read_job(view.record.job_id)
    body = AcceptedDocument(document=Document.of(view), task=Task.of(task) if task else None)
    location = url_for("documents.show_document", document_id=view.record.document_id)
    if view.state is DocumentState.READY:
        return body, 200, {"Location": location}
    return body, 202, {"Location": location, "Retry-After": str(POLL_SECONDS)}


def _store_upload(app_services: CallerServices, upload: Upload, tags: tuple[str, ...]) -> DocumentView:
    """The document with this content: a new one or the existing one. Raises DocumentError, StoreUnavailable."""
    files = run_in_threadpool(open_files, app_services.settings)
    files.sweep()
    settings = app_services.settings
    with files.receive(upload, min(settings.document_max_bytes, settings.documents_max_bytes)) as stored_upload:
        document = _new_document(upload, stored_upload, app_services.store.tenant, tags)
        if document.kind == "pdf" and (password := upload.password()):
            remove_password(stored_upload.path, password, unlock_limits(settings))
        for _ in range(_MAX_TRIES):
            if view := _ensure_ingest_job(app_services, files, stored_upload, document):
                return view
    raise StoreUnavailable("the document is being deleted repeatedly; try again later", retry_after_seconds=1)


def _new_document(upload: Upload, stored_upload: StoredUpload, tenant: Tenant, tags: tuple[str, ...]) -> NewDocument:
    filename = clean_filename(upload.filename)
    return NewDocument(
        document_id=new_document_id(),
        tenant=tenant,
        job_id=new_job_id(),
        filename=filename,
        kind=sniff_type(stored_upload.path, filename, upload.media_type, upload.charset),
        size=stored_upload.size,
        sha256=stored_upload.sha256,
        charset=upload.charset or "",
        tags=tags,
    )


def _ensure_ingest_job(
    app_services: CallerServices, files: Files, stored_upload: StoredUpload, document: NewDocument
) -> DocumentView | None:
    """Returns the document after ensuring that it is ready, or that its file is stored and an ingest job owns it.

    None if the document was deleted in the meantime. From here on a deletion counts as one after the upload.
    """
    document_id = app_services.store.add_document(document, app_services.settings.documents_max_bytes)
    view = _live_view(app_services, document_id)
    if view is None:
        app_services.store.forget_document(document_id, document.sha256)
    if view is None or not view.is_orphaned:
        return view
    ended_job = view.record.job_id
    job_id = app_services.store.reassign_document(view.record, ended_job, view.next_job_id(new_job_id()))
    if job_id is None:
        return None
    run_in_threadpool(files.save, stored_upload, document_id)
    _submit_ingest(app_services, view, job_id)
    return _live_view(app_services, document_id) or view


def _make_next_owner(app_services: CallerServices, view: DocumentView) -> str | None:
    """Make a new job the owner of the document, unless a job is ingesting it. None if the document is gone."""
    record = view.record
    if view.is_orphaned and record.state is DocumentState.INGESTING:
        return app_services.store.reassign_document(record, record.job_id, view.next_job_id(new_job_id()))
    return app_services.store.ingest_document_again(record, new_job_id())


def _submit_ingest(app_services: CallerServices, view: DocumentView, job_id: str) -> None:
    record = view.record
    ingest = IngestTask(
        kind="ingest", document_id=record.document_id, filename=record.filename, charset=record.charset or None
    )
    app_services.submit(ingest, job_id=job_id)


def _live_view(app_services: CallerServices, document_id: str) -> DocumentView | None:
    """The document; None if it was deleted."""
    (view,) = document_lookup.views(app_services.store, [document_id])
    return None if view is None or view.state is DocumentState.DELETING else view


def _cancel(app_services: CallerServices, job_id: str, *, unless: str) -> None:
    job, _ = app_services.store.read_job(job_id)
    if job is not None and job_id != unless and not job.is_final:
        app_services.cancel(job)


def _not_found() -> DocumentNotFound:
    return DocumentNotFound("the document was deleted in the meantime", param="document_id")
