"""Log lines with the time in UTC, as the API writes it: one clock for all processes, whatever their time zone."""

import logging
import time
from typing import Final

FORMAT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"


class UtcFormatter(logging.Formatter):
    """ISO 8601 with milliseconds: 2026-11-21T10:00:00.004Z."""

    converter = time.gmtime  # type: ignore[assignment]  # as the documentation of logging does
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"
