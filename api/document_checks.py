"""Checks the documents of a chat before it becomes a job, so that an unusable one is rejected immediately."""

from typing import Final

from api.http.upload import check_installed
from api.services import services
from jobs import document_lookup
from jobs.documents import unavailable_error
from jobs.errors import InvalidRequest
from jobs.kinds.chat import ChatRequest
from jobs.models import DEFAULT_TENANT

_ALL: Final = "all"


class DocumentNotAvailable(InvalidRequest):
    """A document is unknown, deleted, still being ingested, or has failed; ``code`` distinguishes these."""

    def __init__(self, code: str, message: str, param: str) -> None:
        super().__init__(message, param=param)
        self.code = code  # type: ignore[misc]  # one class, four codes


def check_documents(request: ChatRequest) -> None:
    """Raises DocumentNotAvailable. The worker checks again: a document may be deleted while the job waits."""
    if request.documents is None:
        return
    check_installed()
    if request.documents == _ALL:
        return
    for i, (document_id, view) in enumerate(
        zip(request.documents, document_lookup.views(services().store, request.documents), strict=True)
    ):
        if error := unavailable_error(document_id, view, DEFAULT_TENANT):
            raise DocumentNotAvailable(error.code, error.message, f"documents[{i}]")
