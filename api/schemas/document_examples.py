"""Examples of the document endpoints for the OpenAPI document. A test validates each against its model."""

from typing import Any, Final

from api.schemas.examples import QUEUED_TASK
from jobs.document_id import DOCUMENT_ID_PATTERN

_ID: Final = "doc_5d41402abc4b2a76b9719d911017c592"
DOCUMENT_ID: Final = {
    "name": "document_id",
    "in": "path",
    "required": True,
    "description": "Id of the document.",
    "schema": {"type": "string", "pattern": DOCUMENT_ID_PATTERN},
    "example": _ID,
}
_INGESTING: Final[dict[str, Any]] = {
    "document_id": _ID,
    "filename": "handbook.pdf",
    "kind": "pdf",
    "status": "ingesting",
    "tags": ["staff"],
    "size": 482_133,
    "created_at": "2026-11-21T10:00:00Z",
    "task_id": QUEUED_TASK["task_id"],
    "pages": None,
    "pages_done": 0,
    "chunks": None,
    "embedding_model": None,
    "page_problems": [],
    "problem_pages": 0,
    "attachments": 0,
    "error": None,
}
DOCUMENT: Final = _INGESTING | {
    "status": "ready",
    "pages": 64,
    "pages_done": 64,
    "chunks": 211,
    "embedding_model": "text-embedding-3-small",
    "page_problems": [{"page": 63, "problem": "no_text"}],
    "problem_pages": 1,
}
_TASK: Final = QUEUED_TASK | {"kind": "ingest", "prompt_preview": "handbook.pdf"}
ACCEPTED: Final = {"document": _INGESTING, "task": _TASK}
KNOWN: Final = {"document": DOCUMENT, "task": None}
LIST: Final = {"documents": [DOCUMENT], "next_cursor": None}
CHANGES: Final = {"changes": {"value": {"filename": "handbook 2027.pdf", "tags": ["staff", "2027"]}}}
REMOVAL: Final = _TASK | {"kind": "removal"}
PAGE_NUMBER: Final = {
    "name": "page",
    "in": "path",
    "required": True,
    "description": "Number of the page, from 1.",
    "schema": {"type": "integer", "minimum": 1},
    "example": 12,
}
_PAGE: Final = {"document_id": _ID, "page": 12, "page_label": "xii", "pages": 64}
PAGE: Final = _PAGE | {"problem": None, "text": "Each employee has 30 days of leave a year."}
BOXES: Final = _PAGE | {
    "width": 595.3,
    "height": 841.9,
    "boxes": [{"left": 0.12, "top": 0.31, "right": 0.86, "bottom": 0.326}],
}
OUTLINE: Final = {
    "document_id": _ID,
    "entries": [{"level": 0, "title": "Leave", "page": 12, "page_label": "xii"}],
}
