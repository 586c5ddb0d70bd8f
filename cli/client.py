"""A client of the public HTTP API. Every failure is a CliError with the server's own words."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from ipaddress import ip_address
from typing import IO, Any, Final
from urllib.parse import quote, urlsplit

import click
import httpx2

from cli.errors import CliError, Unavailable, UnknownId
from local.reasons import system_reason

_TIMEOUT: Final = httpx2.Timeout(
    90, connect=5
)  # the longest wait of the API is 60 s; a stream is never silent for 15 s
_UPLOAD_TIMEOUT: Final = httpx2.Timeout(900, connect=5)
_RESUME_WAITS_SECONDS: Final = (0.5, 1, 2, 4, 8, 15)  # after a stream is lost; together about a restart of the server
_NOT_NOW: Final = frozenset({429, 500, 502, 503, 504})
_UNKNOWN_ID: Final = frozenset({"job_not_found", "document_not_found", "not_found"})
_API_PATHS: Final = ("/api/v1", "/v1")

Event = dict[str, Any]


def parse_url(text: str) -> str:
    """The address of a server, without the path of an API that may follow. Raises click.BadParameter."""
    url = (text if "://" in text else f"http://{text}").rstrip("/")
    for path in _API_PATHS:
        url = url.removesuffix(path)
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid:
        raise click.BadParameter("expected http://host:port or https://host", param_hint="--url")
    return url


def segment(text: str) -> str:
    """The text as one segment of a path: an id that a person has typed may contain any character."""
    return quote(text, safe="") or "-"


class ApiClient:
    """Calls one server. ``url`` is its address without the path of an API; ``api_key`` may be None."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        self._url = url
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        trust_env = not _is_loopback(url)
        self._http = httpx2.Client(base_url=f"{url}/api/v1", headers=headers, timeout=_TIMEOUT, trust_env=trust_env)

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, /, **query: object) -> Any:
        """The JSON of a GET. Query parameters that are None are left out."""
        return self._call("GET", path, params={name: value for name, value in query.items() if value is not None})

    def post(self, path: str, body: object = None) -> Any:
        return self._call("POST", path, json=body)

    def delete(self, path: str) -> Any:
        return self._call("DELETE", path)

    def upload(self, path: str, name: str, file: IO[bytes]) -> Any:
        return self._call("POST", path, files={"file": (name, file)}, timeout=_UPLOAD_TIMEOUT)

    def follow(self, job_id: str) -> Iterator[Event]:
        """The events of a job up to its last one. After a lost connection it resumes at the next event."""
        query: dict[str, int] = {}
        failures = 0
        while True:
            try:
                for event in self._events(f"/chat/jobs/{segment(job_id)}/events", query):
                    if "sequence_number" in event:
                        query["starting_after"], failures = event["sequence_number"], 0
                    yield event
                    if event["type"] in {"completed", "incomplete", "failed", "cancelled"}:
                        return
            except Unavailable:
                if failures == len(_RESUME_WAITS_SECONDS):
                    raise
            if failures == len(_RESUME_WAITS_SECONDS):
                raise Unavailable(f"the stream of {job_id} ends early again and again: try again later")
            time.sleep(_RESUME_WAITS_SECONDS[failures])
            failures += 1

    def _events(self, path: str, query: dict[str, int]) -> Iterator[Event]:
        with self._translated(), self._http.stream("GET", path, params=query) as response:
            if response.status_code != HTTPStatus.OK:
                response.read()
                self._check(response)
            for line in response.iter_lines():
                if line.startswith("data:"):  # an event's data is one line of JSON
                    yield json.loads(line.removeprefix("data:"))

    def _call(self, method: str, path: str, **options: Any) -> Any:
        with self._translated():
            response = self._http.request(method, path, **options)
            self._check(response)
            return response.json() if response.content else None

    def _check(self, response: httpx2.Response) -> None:
        """Raises CliError for a status of 400 or more, and for the response of another program."""
        status = response.status_code
        error: dict[str, Any] = {}
        with suppress(ValueError, KeyError, TypeError):
            error = dict(response.json()["error"])
        if status < HTTPStatus.BAD_REQUEST and "x-request-id" in response.headers:
            return
        if not isinstance(error.get("message"), str):
            raise Unavailable(f"the server at {self._url} is not chatqueue (status {status}): correct --url")
        if error.get("code") in _UNKNOWN_ID:
            raise UnknownId(error["message"])
        failure = Unavailable if status in _NOT_NOW else CliError
        raise failure(f"{error['message']} ({error.get('code')})")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx2.TimeoutException:
            raise Unavailable(f"the server at {self._url} does not answer in time: try again later") from None
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            advice = "start it with `chatqueue up`, or correct --url"
            raise Unavailable(
                f"cannot reach the server at {self._url} ({system_reason(error) or type(error).__name__}): {advice}"
            ) from None
        except json.JSONDecodeError:
            raise Unavailable(f"the server at {self._url} is not chatqueue: correct --url") from None


def _is_loopback(url: str) -> bool:
    """Whether the server is on this machine. A proxy that the environment names could not reach it."""
    host = urlsplit(url).hostname or ""
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"
