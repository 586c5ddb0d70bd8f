"""Keeps the log short while a worker cannot use its broker: one line when the problem begins, and when it changes.

Celery logs up to four lines for each try, and a worker that is refused something tries every 3 seconds.

Logs:
    broker_unavailable  problem, reply, text: the broker cannot be reached or refuses something; tried again. When a
                        connection that worked has failed, Celery logs "Connection to broker lost" with the reply.
    broker_available    it serves again
"""

import logging
from typing import Final

from jobs.repeated_problem import RepeatedProblem
from tasks.broker_errors import broker_problem, reply_name, reply_text

logger = logging.getLogger(__name__)

_CELERY_LOGGERS: Final = tuple(f"celery.worker.consumer.{name}" for name in ("consumer", "connection", "mingle"))


class ReconnectLog(logging.Filter):
    """Hides what Celery logs about a try that fails like the one before, except errors."""

    def __init__(self) -> None:
        super().__init__()
        self._problem = RepeatedProblem()
        self._is_quiet = False
        for name in _CELERY_LOGGERS:
            logging.getLogger(name).addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        return not self._is_quiet or record.levelno >= logging.ERROR

    def failed(self, error: BaseException) -> bool:
        """Note that a connection has failed. Returns whether this is new: another missing right is not."""
        word, _, _ = reply_name(error).partition(":")
        is_new = self._problem.is_new(f"{broker_problem(error)} {word}")
        self._is_quiet = not is_new
        return is_new

    def log(self, error: BaseException) -> None:
        """Log a connection that could not be opened, if this is new."""
        if self.failed(error):
            logger.warning(
                "broker_unavailable problem=%s reply=%s text=%r",
                broker_problem(error),
                reply_name(error),
                reply_text(error),
            )

    def recovered(self) -> None:
        self._is_quiet = False
        if self._problem.end():
            logger.info("broker_available")
