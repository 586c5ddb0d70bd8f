"""The OpenAPI document is written for API users: everything is described, in plain words, without internals."""

import importlib
import inspect
import pkgutil
import re
from enum import Enum

import pytest
from pydantic import BaseModel

import jobs
from api.schemas import descriptions

METHODS = {"get", "post", "delete", "put", "patch"}
STILTED = re.compile(
    r"\b(as (it|they) (came|come|comes|is|are)|at once|in [v]ain|told|tells?|said|says|hears?|heard|spoken|speaks"
    r"|begun [a]new|[a]new|as such|whatever dies|[s]een through|passed over|nobody|none of|that there is|what is|who "
    r"|in line|line|front|what came|what became|what becomes|goes? on|comes? back|leaves|left"
    r"|patient|[p]atience)\b",
    re.IGNORECASE,
)
INTERNALS = re.compile(
    r"\b(Lua|pydantic|marshmallow|docstring|dict|tuple|(?<!-)None(?!-)|dataclass|Celery|kombu"
    r"|JobRecord|hash|records?|cq:\S*"
    r"|KEYS|ARGV|pub/sub|fencing|lease|coroutine|greenlet|gevent|gunicorn)\b|``"
)


@pytest.fixture(scope="module")
def texts(request):
    """Every description of the document, by its place."""
    from api import create_app
    from jobs.settings import Settings

    document = create_app(Settings(REDIS_URL="redis://127.0.0.1:1/0")).test_client().get("/openapi.json").json
    return dict(_descriptions(document))


def _descriptions(document):
    yield "info", document["info"]["description"]
    yield from ((f"tag {tag['name']}", tag["description"]) for tag in document["tags"])
    for name, response in document["components"]["responses"].items():
        yield f"response {name}", response.get("description")
    for name, schema in document["components"]["schemas"].items():
        yield f"schema {name}", schema.get("description")
        yield from (
            (f"{name}.{field}", text.get("description")) for field, text in schema.get("properties", {}).items()
        )
    for path, item in document["paths"].items():
        parameters = item.get("parameters", [])
        for method, operation in item.items():
            if method in METHODS:
                yield from _operation(f"{method} {path}", operation, parameters)


def _operation(name, operation, parameters):
    yield f"{name} summary", operation.get("summary")
    yield f"{name} description", operation.get("description")
    for parameter in [*parameters, *operation.get("parameters", [])]:
        yield f"{name} {parameter['name']}", parameter.get("description")
    for status, response in operation["responses"].items():
        if "$ref" not in response:
            yield f"{name} {status}", response.get("description")
            headers = response.get("headers", {})
            yield from ((f"{name} {status} {header}", headers[header].get("description")) for header in headers)


def test_everything_has_a_description(texts):
    """No schema, field, parameter, header, response or operation is left to guesswork."""
    assert [place for place, text in texts.items() if not text or text in ("OK", "Created", "Accepted")] == []


def test_no_description_is_stilted(texts):
    """Words that read as a literal translation do not reach API users."""
    assert {place: text for place, text in texts.items() if text and STILTED.search(text)} == {}


def test_no_description_mentions_internals(texts):
    """API users know neither the storage nor the libraries behind the API."""
    assert {place: text for place, text in texts.items() if text and INTERNALS.search(text)} == {}


def test_no_docstring_of_jobs_reaches_the_document(texts):
    """The docstrings of jobs/ are written for developers."""
    docstrings = {
        inspect.cleandoc(item.__doc__)
        for info in pkgutil.walk_packages(jobs.__path__, "jobs.")
        for item in vars(importlib.import_module(info.name)).values()
        if isinstance(item, type) and issubclass(item, BaseModel | Enum) and item.__module__.startswith("jobs.")
        if item.__doc__
    }

    assert {text for text in texts.values() if text} & docstrings == set()


def test_every_entry_of_the_descriptions_is_used(texts):
    """An entry for a schema or field that no longer exists must be deleted."""
    fields = {f"{schema}.{field}" for schema, table in descriptions._FIELDS.items() for field in table}
    named = {place.rpartition(".")[2] for place in texts if "." in place}

    assert {f"schema {name}" for name in descriptions._SCHEMAS} - texts.keys() == set()
    assert fields - texts.keys() == set()
    assert descriptions._COMMON_FIELDS.keys() - named == set()
