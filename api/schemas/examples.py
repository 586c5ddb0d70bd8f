"""Examples, headers and path parameters of the OpenAPI document. A test validates each example against its model."""

import json
from typing import Any, Final

from jobs.models import JOB_ID_PATTERN

_ID: Final = "job_3f2b8c1d9e0a4b5c8d7e6f5a4b3c2d1e"
_EMBEDDINGS_ID: Final = "job_a1b2c3d4e5f60718293a4b5c6d7e8f90"
_USAGE: Final = {"input_tokens": 13, "output_tokens": 21, "total_tokens": 34, "estimated": False}
_ERROR: Final = {"code": "provider_timeout", "message": "the provider did not respond in time; 4 attempts made"}
_ANSWER: Final = "Air scatters blue light more than red."

_HEADERS: Final = {
    "Location": "URL of the new job or document.",
    "Retry-After": "Seconds to wait before the next request.",
    "Idempotency-Replayed": "`true` if an earlier request with this Idempotency-Key created the job.",
    "ETag": "Version of the response, for `If-None-Match`.",
    "Cache-Control": "`private, no-cache`: only the client may keep it, and must ask with its `ETag` before using it.",
    "x-chatqueue-provider": "Name of the provider that answered, if it is known.",
    "Content-Disposition": "`attachment`, with the filename.",
    "Preference-Applied": "The `Prefer: wait=N` that was honoured.",
}


def headers(*names: str) -> dict[str, Any]:
    """Response headers by name, as OpenAPI describes them."""
    return {name: {"description": _HEADERS[name], "schema": {"type": "string"}} for name in names}


def id_parameter(name: str, description: str, example: str = _ID) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string", "pattern": JOB_ID_PATTERN},
        "example": example,
    }


def named(**values: Any) -> dict[str, Any]:
    return {name: {"value": value} for name, value in values.items()}


JOB_ID: Final = id_parameter("job_id", "Id of the job.")
TASK_ID: Final = id_parameter("task_id", "Id of the task.")

CHAT_REQUESTS: Final = named(
    short={"message": "Why is the sky blue?"},
    full={
        "message": "And at sunset?",
        "system": "Answer in one sentence.",
        "history": [
            {"role": "user", "content": "Why is the sky blue?"},
            {"role": "assistant", "content": _ANSWER},
        ],
        "model": "gpt-5-mini",
        "temperature": 0.2,
        "max_output_tokens": 200,
        "metadata": {"customer": "4711"},
    },
    documents={"message": "How many days of leave are there?", "documents": "all"},
)
TASK_REQUESTS: Final = named(
    chat={"kind": "chat", "message": "Why is the sky blue?"},
    embeddings={"kind": "embeddings", "input": ["first text", "second text"]},
)

QUEUED_CHAT: Final[dict[str, Any]] = {
    "job_id": _ID,
    "status": "queued",
    "answer": None,
    "model": None,
    "finish_reason": None,
    "usage": None,
    "error": None,
    "citations": None,
    "sources": None,
    "attempts": 0,
    "created_at": "2026-11-21T10:00:00Z",
    "started_at": None,
    "finished_at": None,
    "next_attempt_at": None,
    "queue_position": 0,
    "estimated_wait_seconds": 0.0,
    "waiting_for": "slot",
    "waiting_until": None,
}
_ENDED: Final = {
    "attempts": 1,
    "started_at": "2026-11-21T10:00:00.004000Z",
    "finished_at": "2026-11-21T10:00:02.500000Z",
    "queue_position": None,
    "estimated_wait_seconds": None,
    "waiting_for": None,
    "waiting_until": None,
}
_CITATION: Final = {
    "document_id": "doc_5d41402abc4b2a76b9719d911017c592",
    "filename": "handbook.pdf",
    "page": 12,
    "page_label": "12",
    "quote": "Each employee has 30 days of leave a year.",
    "score": 0.81,
    "support": 0.8,
}
_SOURCE: Final = {
    "number": 1,
    "document_id": "doc_5d41402abc4b2a76b9719d911017c592",
    "filename": "handbook.pdf",
    "page": 12,
    "start": 0,
    "end": 780,
    "score": 0.81,
    "selection": "match",
}
FINAL_CHATS: Final = named(
    completed=QUEUED_CHAT
    | _ENDED
    | {
        "status": "completed",
        "answer": _ANSWER,
        "model": "gpt-5-mini",
        "finish_reason": "stop",
        "usage": _USAGE,
    },
    cited=QUEUED_CHAT
    | _ENDED
    | {
        "status": "completed",
        "answer": "Thirty days a year [1].",
        "model": "gpt-5-mini",
        "finish_reason": "stop",
        "usage": _USAGE,
        "citations": [_CITATION],
        "sources": [_SOURCE],
    },
    failed=QUEUED_CHAT | _ENDED | {"status": "failed", "attempts": 4, "error": _ERROR},
    cancelled=QUEUED_CHAT | _ENDED | {"status": "cancelled", "answer": "Air scatters", "finish_reason": "cancelled"},
)

_STATUS_EVENT: Final = {"type": "status", "job_id": _ID, "status": "queued", "attempts": 0, "next_attempt_at": None} | {
    "queue_position": 0,
    "estimated_wait_seconds": 0.0,
    "waiting_for": "slot",
    "waiting_until": None,
}
_EVENTS: Final[tuple[dict[str, Any], ...]] = (
    {"type": "in_progress", "attempt": 1},
    {"type": "delta", "text": _ANSWER},
    {"type": "completed", "finish_reason": "stop", "usage": _USAGE},
)
STREAM: Final = f"event: status\ndata: {json.dumps(_STATUS_EVENT)}\n\n" + "".join(
    f"id: {i}\nevent: {event['type']}\ndata: {json.dumps({'sequence_number': i} | event)}\n\n"
    for i, event in enumerate(_EVENTS)
)

QUEUED_TASK: Final[dict[str, Any]] = {
    "task_id": _ID,
    "kind": "chat",
    "status": "queued",
    "created_at": "2026-11-21T10:00:00Z",
    "started_at": None,
    "finished_at": None,
    "next_attempt_at": None,
    "attempts": 0,
    "max_attempts": 4,
    "queue": "chatqueue",
    "queue_position": 0,
    "estimated_wait_seconds": 0.0,
    "waiting_for": "slot",
    "waiting_until": None,
    "usage": None,
    "last_output_at": None,
    "progress": None,
    "prompt_preview": "Why is the sky blue?",
    "model": None,
    "error_code": None,
    "deadline_at": "2026-11-22T10:00:00Z",
    "start_by": None,
    "cancel_at": None,
    "retry_of": None,
    "retried_as": None,
    "request_id": "req_2c1743a391305fbf367df8e4f069f9f9",
}
_FAILED_ATTEMPT: Final = {"attempt": 1, "at": "2026-11-21T10:00:01.500000Z"} | _ERROR
TASK_DETAILS: Final = QUEUED_TASK | {"attempts": 1, "error_code": _ERROR["code"], "failed_attempts": [_FAILED_ATTEMPT]}
RETRY_FILTERS: Final = named(count={"dry_run": True}, some={"error_code": "provider_unavailable", "limit": 50})
RETRY_REPORT: Final = {
    "matched": 1,
    "has_more": False,
    "dry_run": False,
    "retried": [{"task_id": _EMBEDDINGS_ID, "retried_as": _ID}],
}
CANCELLED_TASK: Final = QUEUED_TASK | {
    "status": "cancelled",
    "finished_at": "2026-11-21T10:00:02.500000Z",
    "queue_position": None,
    "estimated_wait_seconds": None,
    "waiting_for": None,
}
TASK_LIST: Final = {"tasks": [QUEUED_TASK], "unknown": [_EMBEDDINGS_ID], "next_cursor": None}

NO_RESULT: Final = {"task_id": _ID, "kind": "chat", "status": "in_progress", "result": None, "error": None}
RESULTS: Final = named(
    chat=NO_RESULT
    | {
        "status": "completed",
        "result": {
            "kind": "chat",
            "text": _ANSWER,
            "model": "gpt-5-mini",
            "finish_reason": "stop",
            "usage": _USAGE,
        },
    },
    embeddings=NO_RESULT
    | {
        "task_id": _EMBEDDINGS_ID,
        "kind": "embeddings",
        "status": "completed",
        "result": {
            "kind": "embeddings",
            "vectors": [[0.25, -0.5], [0.125, 1.0]],
            "model": "text-embedding-3-small",
            "usage": _USAGE | {"output_tokens": 0, "total_tokens": 13},
        },
    },
    failed=NO_RESULT | {"status": "failed", "error": _ERROR},
)

_WORKER: Final = {
    "name": "worker-1:4242",
    "host": "worker-1",
    "version": "0.1.0",
    "takes_jobs": True,
    "slots": 500,
    "free_slots": 499,
}
STATS: Final = {
    "counts": {
        "queued": 2,
        "in_progress": 1,
        "completed": 120,
        "incomplete": 1,
        "failed": 3,
        "cancelled": 2,
    },
    "queues": [{"name": "chatqueue", "depth": 1, "published": 0}],
    "pools": [
        {
            "pool": "gpt-5-mini",
            "lane": "interactive",
            "queued": 1,
            "waiting_for": "provider_rate_limit",
            "waiting_until": "2026-11-21T10:00:01Z",
        }
    ],
    "waiting_for_retry": 1,
    "queued_bytes": 4_127,
    "max_queued_bytes": 1_073_741_824,
    "oldest_queued_seconds": 1.25,
    "workers": [_WORKER],
    "totals": {"created": 129, "completed": 120, "failed": 3},
    "rates_per_minute": {"created": 4.2, "completed": 4.0, "failed": 0.2},
    "workers_alive": 1,
}
PROVIDERS: Final = {
    "targets": [
        {
            "name": "main/gpt-5-mini",
            "is_open": False,
            "closed_reason": "provider_rate_limit",
            "closed_until": "2026-11-21T10:00:01Z",
            "running": 3,
            "requests_last_minute": 500,
            "tokens_last_minute": 120_000,
            "requests_per_minute": 500,
            "requests_source": "header",
            "tokens_per_minute": 200_000,
            "tokens_source": "header",
            "concurrency": None,
        }
    ]
}
ALIVE: Final = {"status": "ok"}
HEALTH: Final = {
    "status": "ok",
    "reason": None,
    "redis": {"ok": True, "latency_ms": 0.31},
    "broker": {"state": "record_store"},
    "queued": 2,
    "in_progress": 1,
    "workers_alive": 1,
    "workers": [_WORKER],
}
