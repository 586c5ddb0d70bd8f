"""gunicorn's log without any content of requests: gunicorn quotes request lines, headers and paths in its messages."""

import logging
from typing import Any, Final

from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from guards.json_log import JsonFormatter
from guards.tracebacks import traceback_location
from guards.utc_log import UtcFormatter

_OPERATORS_MODULES: Final = frozenset({"arbiter", "config", "app", "wsgiapp"})  # their errors concern the start


class ContentFreeFilter(logging.Filter):
    """Drops messages below INFO, and the text of exceptions that a request has caused."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.INFO:
            return False
        if record.exc_info and record.module not in _OPERATORS_MODULES:
            error = record.exc_info[1]
            text = str(record.msg).partition("%")[0].strip()
            record.msg = f"{text} error={type(error).__name__} at={traceback_location(error)}"
            record.args, record.exc_info, record.exc_text = (), None, None
        return True


class ContentFreeLogger(Logger):  # type: ignore[misc]  # untyped
    """gunicorn's logger with the filter."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.addFilter(ContentFreeFilter())
        for handler in self.error_log.handlers:
            handler.setFormatter(self.make_formatter())

    def make_formatter(self) -> logging.Formatter:
        return UtcFormatter(self.error_fmt)


class ContentFreeJsonLogger(ContentFreeLogger):
    """The same with a JSON object on each line."""

    def make_formatter(self) -> logging.Formatter:
        return JsonFormatter()
