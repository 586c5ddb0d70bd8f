"""How a process logs: one line per event to standard error, as text or as JSON."""

import logging
from typing import Final, Literal, TypeAlias

from guards.json_log import JsonFormatter
from guards.utc_log import FORMAT, UtcFormatter

LogFormat: TypeAlias = Literal["text", "json"]
TEXT: Final = "text"


def configure_logging(level: int | str, log_format: LogFormat) -> None:
    """Does nothing if logging is configured already."""
    logging.logThreads = logging.logMultiprocessing = False  # not in our lines, and a third of the cost of each
    logging.logAsyncioTasks = False  # type: ignore[attr-defined]  # the same, from Python 3.12 on
    handler = logging.StreamHandler()
    handler.setFormatter(UtcFormatter(FORMAT) if log_format == TEXT else JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler])
