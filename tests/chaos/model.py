"""``python -m tests.chaos.model``: the offline model, which also reports when each call began and ended."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from aiohttp import web

from guards.file_limit import raise_file_limit
from local.offline_model.calls import CallLog, TrackedCall
from local.offline_model.routes import CALLS, create_app
from local.offline_model.server import serve


class TimedCalls(CallLog):
    """Records each call as [key, start, end or None, whether the client disconnected early]; times are Unix seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[object]] = []

    @contextmanager
    def track(self, key: str) -> Iterator[TrackedCall]:
        timed: list[object] = [key, time.time(), None, False]
        self.calls.append(timed)
        try:
            with super().track(key) as call:
                yield call
        except (asyncio.CancelledError, ConnectionError):
            timed[3] = not call.is_finished
            raise
        finally:
            timed[2] = time.time()


async def show_times(request: web.Request) -> web.Response:
    """All recorded calls, as JSON."""
    return web.json_response(cast("TimedCalls", request.app[CALLS]).calls)


def main() -> None:
    raise_file_limit()
    app = create_app(("chaos",))
    app[CALLS] = TimedCalls()
    app.router.add_get("/chaos/calls", show_times)
    asyncio.run(serve(app, "127.0.0.1", 0))


if __name__ == "__main__":
    main()
