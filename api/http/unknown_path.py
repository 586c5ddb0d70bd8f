"""Explains a 404 or 405 for a path: what is wrong with it, and which existing path is the nearest.

The message names paths of this server only. It repeats nothing of the request.
"""

import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from http import HTTPMethod
from typing import Final

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, MapAdapter, RequestRedirect, Rule

_PUBLIC: Final = ("/api/", "/v1/", "/health")  # prefixes of the paths that are suggested
_PREFIXES: Final = ("/api/v1", "/v1")
_IMPLICIT_METHODS: Final = frozenset({"HEAD", "OPTIONS"})
_KNOWN_METHODS: Final = frozenset(HTTPMethod)
_PARAMETER: Final = re.compile(r"<(?:[a-z]+:)?([a-z_]+)>")
_MAX_CHARS: Final = 200  # of a path that is compared; comparing takes quadratic time
_MIN_SIMILARITY: Final = 0.6
_NO_SUCH_PATH: Final = "there is no such path"
_ONE_BY_ONE: Final = "send the calls one by one: each is queued, and survives a restart"
_ABSENT: Final = {  # resources of OpenAI's API, and what to do without them
    "batches": _ONE_BY_ONE,
    "files": _ONE_BY_ONE,
    "conversations": "use previous_response_id",
    "assistants": "use /v1/responses",
    "threads": "use /v1/responses",
    "responses/input_tokens": "",
    **dict.fromkeys(("audio", "chatkit", "containers", "evals", "fine_tuning", "images", "moderations"), ""),
    **dict.fromkeys(("organization", "realtime", "skills", "uploads", "vector_stores", "videos"), ""),
}


def absent_resource(path: str) -> str | None:
    """The resource of OpenAI's API that the path asks for, if this server does not have it."""
    _, prefix, rest = _without_repeated_prefix(path).partition("/v1/")
    segments = (rest if prefix else path).strip("/").split("/")
    return next((name for name in (segments[0], "/".join(segments[:2])) if name in _ABSENT), None)


def explain_not_found(url_map: Map, path: str, method: str) -> str:
    """The message of a 404."""
    if name := absent_resource(path):
        remedy = f"; {_ABSENT[name]}" if _ABSENT[name] else ""
        return f"/v1/{name} is not supported by this server{remedy}"
    adapter = url_map.bind("")
    for candidate, problem in _corrected(path[:_MAX_CHARS]):
        if rule := _rule_of(adapter, candidate, method):
            return f"{problem}; the path is {_shown(rule, url_map)}"
    if nearest := _most_similar(url_map, path[:_MAX_CHARS]):
        return f"{_NO_SUCH_PATH}; the nearest is {_shown(nearest, url_map)}"
    return f"{_NO_SUCH_PATH}; GET /openapi.json lists all paths"


def explain_method(method: str, allowed: Iterable[str]) -> str:
    """The message of a 405."""
    methods = " and ".join(sorted(set(allowed) - _IMPLICIT_METHODS))
    shown = method if method in _KNOWN_METHODS else "this method"
    return f"{shown} is not allowed on this path, which takes {methods}"


def _corrected(path: str) -> Iterator[tuple[str, str]]:
    """Paths that the caller may have meant, each with what is wrong with the one that was sent."""
    single = re.sub("/+", "/", path)
    once = _without_repeated_prefix(single)
    if once != single:
        yield once, "the path has its prefix twice, and the base URL must end with it once"
    rest = single
    for prefix in ("/openai", "/api", "/v1"):
        rest = rest.removeprefix(prefix)
    for prefix in _PREFIXES:
        if not single.startswith(f"{prefix}/"):
            yield f"{prefix}{rest}", f"the path must begin with {prefix}"
    yield single.lower(), "paths are in lower case"
    yield single.rstrip("/"), "the path must not end with a slash"


def _without_repeated_prefix(path: str) -> str:
    for prefix in _PREFIXES:
        while path.startswith(f"{prefix}{prefix}/"):
            path = path.removeprefix(prefix)
    return path


def _rule_of(adapter: MapAdapter, path: str, method: str) -> Rule | None:
    """The public rule for a path; one for the method, if there is any."""
    try:
        rule, _ = adapter.match(path, method=method, return_rule=True)
    except MethodNotAllowed as error:
        return _rule_of(adapter, path, next(iter(sorted(set(error.valid_methods or ()) - _IMPLICIT_METHODS)), "GET"))
    except (NotFound, RequestRedirect):
        return None
    return rule if rule.rule.startswith(_PUBLIC) else None


def _most_similar(url_map: Map, path: str) -> Rule | None:
    prefix = next((prefix for prefix in _PUBLIC if path.startswith(prefix)), "")
    rules = [rule for rule in url_map.iter_rules() if rule.rule.startswith(prefix or _PUBLIC)]
    scored = [(_similarity(path, rule.rule), rule) for rule in rules]
    score, nearest = max(scored, key=lambda pair: pair[0])
    return nearest if score >= _MIN_SIMILARITY else None


def _similarity(path: str, rule: str) -> float:
    """From 0 to 1, also for a path that is a part of another."""
    begins = path.rstrip("/")
    if begins not in ("", "/api", *_PREFIXES) and rule.startswith(f"{begins}/"):
        return 1.0
    return SequenceMatcher(None, path, _filled(rule, path)).ratio()


def _filled(rule: str, path: str) -> str:
    """The rule with the path's own segments in place of its parameters, if both have as many."""
    wanted, given = rule.split("/"), path.split("/")
    if len(wanted) != len(given):
        return rule
    return "/".join(own if _PARAMETER.fullmatch(part) else part for part, own in zip(wanted, given, strict=True))


def _shown(rule: Rule, url_map: Map) -> str:
    """The rule as the documentation writes it, with all methods that its path takes."""
    same = [other for other in url_map.iter_rules() if other.rule == rule.rule]
    methods = sorted({method for other in same for method in other.methods or ()} - _IMPLICIT_METHODS)
    path = _PARAMETER.sub(r"{\1}", rule.rule)
    return f"{' or '.join(methods)} {path}"
