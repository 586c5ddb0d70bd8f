"""Opens the port, serves until a signal arrives, and then stops without waiting for open streams."""

import asyncio
import contextlib
import logging
import signal

from aiohttp import web

# Enough for two thousand clients that connect simultaneously; the kernel may allow fewer.
BACKLOG = 4_096
# Seconds that handlers may continue after SIGTERM. Open streams are then cut.
_GRACE_SECONDS = 0.1
_STOP_SECONDS = 1.5


async def serve(app: web.Application, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT. Port 0 selects a free port. Prints one line when it is listening.

    Raises OSError if it cannot listen on the address.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # Without handler_cancellation, a stalled or delayed call would outlive its client.
    runner = web.AppRunner(
        app,
        handler_cancellation=True,
        access_log=None,
        shutdown_timeout=_GRACE_SECONDS,
        logger=_content_free_logger(),
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=BACKLOG).start()
        print(f"offline model listening on http://{host}:{runner.addresses[0][1]}/v1", flush=True)  # noqa: T201
        await stop.wait()
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(runner.cleanup(), _STOP_SECONDS)


class _ContentFreeFormatter(logging.Formatter):
    """Logs the type of an exception without its text: aiohttp's exceptions quote the unparsable bytes."""

    def format(self, record: logging.LogRecord) -> str:
        kind = record.exc_info[0] if record.exc_info else None
        return f"offline model: {record.getMessage()}" + (f" ({kind.__name__})" if kind else "")


def _content_free_logger() -> logging.Logger:
    logger = logging.getLogger("local.offline_model")
    logger.propagate = False
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_ContentFreeFormatter())
        logger.addHandler(handler)
    return logger
