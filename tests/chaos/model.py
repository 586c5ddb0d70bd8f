"""``python -m tests.chaos.model``: the offline model, which also reports when each call began and ended.

It can be told to have a bad minute: ``POST /chaos/minute`` with ``limit`` (calls in any 60 s; more are refused with an
honest Retry-After) and ``away`` (every connection is closed without an answer).
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

from aiohttp import web

from guards.file_limit import raise_file_limit
from local.offline_model.calls import CallLog, TrackedCall
from local.offline_model.middlewares import Handler
from local.offline_model.routes import CALLS, create_app
from local.offline_model.server import serve

WINDOW_SECONDS = 60.0


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


@dataclass
class BadMinute:
    """The state of the provider: its limit, and when it admitted and refused calls (Unix seconds)."""

    limit: int | None = None
    is_away: bool = False
    admitted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def wait_seconds(self, now: float) -> float:
        """Seconds until another call is admitted; 0 if one is."""
        if self.limit is None:
            return 0
        recent = [at for at in self.admitted if at > now - WINDOW_SECONDS]
        return recent[-self.limit] + WINDOW_SECONDS - now if len(recent) >= self.limit else 0


BAD_MINUTE = web.AppKey("bad_minute", BadMinute)


@web.middleware
async def have_a_bad_minute(request: web.Request, handler: Handler) -> web.StreamResponse:
    if not request.path.startswith("/v1/chat"):
        return await handler(request)
    minute, now = request.app[BAD_MINUTE], time.time()
    wait_seconds = minute.wait_seconds(now)
    if minute.is_away or wait_seconds:
        minute.refused.append(now)
    if minute.is_away and request.transport is not None:
        request.transport.abort()
    if wait_seconds:
        body = {"error": {"message": "too many requests", "type": "requests", "code": "rate_limit_exceeded"}}
        return web.json_response(body, status=429, headers={"retry-after-ms": str(round(wait_seconds * 1000))})
    if not minute.is_away:
        minute.admitted.append(now)
    return await handler(request)


async def set_bad_minute(request: web.Request) -> web.Response:
    wanted = await request.json()
    minute = request.app[BAD_MINUTE]
    minute.limit, minute.is_away = wanted["limit"], wanted["is_away"]
    return web.json_response({})


async def show_bad_minute(request: web.Request) -> web.Response:
    minute = request.app[BAD_MINUTE]
    return web.json_response({"admitted": minute.admitted, "refused": minute.refused})


def main() -> None:
    raise_file_limit()
    app = create_app(("chaos",))
    app[CALLS] = TimedCalls()
    app[BAD_MINUTE] = BadMinute()
    app.middlewares.append(have_a_bad_minute)
    app.router.add_get("/chaos/calls", show_times)
    app.router.add_get("/chaos/minute", show_bad_minute)
    app.router.add_post("/chaos/minute", set_bad_minute)
    asyncio.run(serve(app, "127.0.0.1", 0))


if __name__ == "__main__":
    main()
