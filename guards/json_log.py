"""Log lines as JSON objects, one a line, for programs that collect logs."""

import ast
import json
import logging
import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

from guards.utc_log import UtcFormatter

# What the line belongs to, such as request_id and job_id. Each request and each attempt has a context of its own.
log_context: ContextVar[Mapping[str, Any]] = ContextVar("log_context", default={})  # noqa: B039  # never changed

_VALUE: Final = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s'"]\S*|"""
_EVENT: Final = re.compile(rf"([a-z][a-z0-9_]*)((?: \w+=(?:{_VALUE}))*)")
_FIELD: Final = re.compile(rf" (\w+)=({_VALUE})")
_INTEGER: Final = re.compile(r"-?(?:0|[1-9]\d{0,15})")
_DECIMAL: Final = re.compile(r"-?\d{1,15}\.\d{1,9}")
_QUOTES: Final = frozenset("'\"")  # of a value written with %r


class JsonFormatter(UtcFormatter):
    """Our lines, which are an event and its fields, become members; the text of others is the member ``message``.

    What other libraries attach to a record is left out: Celery attaches the arguments and the result of a task.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields = {"time": self.formatTime(record), "level": record.levelname, "logger": record.name}
        fields |= {"job_id": task_id} if (task_id := _task_id(record)) else {}
        fields |= log_context.get()
        fields |= _parse(record.getMessage())
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def _task_id(record: logging.LogRecord) -> str | None:
    """The task that one of Celery's own lines is about."""
    data = getattr(record, "data", None)
    return data.get("id") if isinstance(data, dict) else None


def _parse(message: str) -> dict[str, Any]:
    event = _EVENT.fullmatch(message)
    if event is None or ("_" not in event[1] and not event[2]):  # a single word is no event
        return {"message": message}
    return {"event": event[1]} | {name: _value(text) for name, text in _FIELD.findall(event[2])}


def _value(text: str) -> Any:
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    return ast.literal_eval(text) if text[:1] in _QUOTES else text
