"""The answer in the format of Celery's own result backend, so that a stock ``AsyncResult(id).get()`` returns it.

A test checks every shape here against Celery itself. Two fields are ours: ``partial``, the text of a job that ended
without a complete answer, and ``provider_error``, which only the caller may see. Celery stores them and never reads
them.
"""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from jobs.errors import ProviderError
from jobs.kinds import read_answer
from jobs.kinds.base import Answer, TextAnswer
from jobs.results import JobError

ANSWER_UNREADABLE: Final = JobError(
    code="answer_unreadable", message="the answer cannot be read: another version wrote it, or it is damaged"
)


def _meta(job_id: str, status: str, result: Any, **extra: Any) -> dict[str, Any]:
    return {
        "status": status,
        "result": result,
        "traceback": None,
        "children": [],
        "date_done": datetime.now(UTC).isoformat(),
        "task_id": job_id,
        **extra,
    }


def success(job_id: str, answer: Answer) -> str:
    """The result of a completed or incomplete job: ``get()`` returns the answer as a dict."""
    return json.dumps(_meta(job_id, "SUCCESS", answer.model_dump(mode="json")), ensure_ascii=False, allow_nan=False)


def failure(job_id: str, error: JobError, partial: TextAnswer | None = None) -> str:
    """The result of a failed job: ``get()`` raises an exception named JobFailed with (code, message)."""
    raised = {"exc_type": "JobFailed", "exc_message": [error.code, error.message], "exc_module": None}
    dumped = partial.model_dump(mode="json") if partial else None
    extra = {"provider_error": asdict(error.provider)} if error.provider else {}
    return json.dumps(_meta(job_id, "FAILURE", raised, partial=dumped, **extra), ensure_ascii=False, allow_nan=False)


def revoked_prefix(job_id: str) -> str:
    """The start of a cancelled job's result: cancel.lua appends the partial answer and the closing brace.

    ``get()`` raises celery.exceptions.TaskRevokedError.
    """
    raised = {"exc_type": "TaskRevokedError", "exc_message": ["cancelled"], "exc_module": "celery.exceptions"}
    return json.dumps(_meta(job_id, "REVOKED", raised))[:-1] + ', "partial": '


def read(stored: bytes | str) -> tuple[Answer | None, JobError | None]:
    """The answer, which may be partial, and the error of a stored result; each is None if there is none.

    Never raises: a result that this version cannot read is the error ``answer_unreadable``.
    """
    try:
        meta = json.loads(stored)
        if meta["status"] == "SUCCESS":
            answer = read_answer(meta["result"])
            return answer, None if answer else ANSWER_UNREADABLE
        answer = read_answer(meta.get("partial"))
        if meta["status"] != "FAILURE":
            return answer, None
        code, message = meta["result"]["exc_message"]
        provider_error = meta.get("provider_error")
        return answer, JobError(
            code=code, message=message, provider=ProviderError(**provider_error) if provider_error else None
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None, ANSWER_UNREADABLE
