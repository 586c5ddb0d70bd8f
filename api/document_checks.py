"""Checks the documents of a chat before it becomes a job, so that a chat with an unusable one is rejected."""

from typing import Final

from api.http.upload_parsing import check_installed
from api.services import services
from jobs import document_lookup
from jobs.api_keys import Scope
from jobs.documents import DocumentState, DocumentView, unavailable_error
from jobs.errors import Forbidden, InvalidRequest, ModelNotFound
from jobs.kinds.chat import ChatRequest

_ALL: Final = "all"


class DocumentNotAvailable(InvalidRequest):
    """A document does not exist, is still being ingested, or has failed; ``code`` distinguishes these three."""

    def __init__(self, code: str, message: str, param: str) -> None:
        super().__init__(message, param=param)
        self.code = code  # type: ignore[misc]  # one class, three codes


def check_documents(request: ChatRequest) -> None:
    """Raises DocumentNotAvailable, ModelNotFound, Forbidden, or DocumentRejected if document support is not installed.

    The worker checks again, because a document may be deleted while the job waits.
    """
    if request.document_tags and request.documents != _ALL:
        raise InvalidRequest('document_tags need documents to be "all"', param="document_tags")
    if request.documents is None:
        return
    if Scope.DOCUMENTS_READ not in services().caller.scopes:
        raise Forbidden("the API key may not ask documents")
    check_installed()
    check_embedding_model()
    if request.documents == _ALL:
        _check_tags(request.document_tags)
        return
    for i, (document_id, view) in enumerate(
        zip(request.documents, document_lookup.views(services().store, request.documents), strict=True)
    ):
        if error := unavailable_error(document_id, view):
            raise DocumentNotAvailable(error.code, error.message, f"documents[{i}]")


def _check_tags(tags: tuple[str, ...]) -> None:
    """Raises DocumentNotAvailable if no document with these tags can be asked."""
    if not tags:
        return

    def matches(view: DocumentView) -> bool:
        return view.state is DocumentState.READY and set(tags) <= set(view.record.tags)

    page = document_lookup.page(services().store, None, 1, matches)
    if not page.views and page.next_cursor is None:
        raise DocumentNotAvailable("document_not_found", "no document that is ready has the tags", "document_tags")


def check_embedding_model() -> None:
    """Raises ModelNotFound if no provider offers the model of the documents' vectors."""
    settings = services().settings
    names = settings.providers.model_names
    if names is not None and settings.document_embedding_model not in names:
        raise ModelNotFound("the server's providers file does not list its embedding model, which documents need")
