"""Counts every response and the time until it starts, by route. A path itself is no label: it contains ids."""

import time
from typing import Final

from flask import Flask, Response, g, request

from jobs.metrics import HTTP, OTHER, MetricCounts

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})  # a client may invent others


def install(app: Flask, counts: MetricCounts) -> None:
    """Call this before all other hooks of the app, so that their time counts too."""

    def start() -> None:
        g.started_at = time.perf_counter()

    def end(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule is not None else OTHER
        method = request.method if request.method in _METHODS else OTHER
        counts.observe(HTTP, (route, method, str(response.status_code)), time.perf_counter() - g.started_at)
        return response

    app.before_request(start)
    app.after_request(end)
