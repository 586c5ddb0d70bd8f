"""The OpenAPI document is valid, complete and correct, and its examples validate."""

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import TypeAdapter
from werkzeug.serving import WSGIRequestHandler, make_server

from api.http.problems import Problem
from api.openai import request_schemas as openai_shapes
from api.openai import response_schemas as openai_answers
from api.schemas import access, document_content, documents, health, requests, responses, tasks
from jobs import models
from jobs import requests as job_requests
from jobs.kinds import chat as chat_kind
from jobs.kinds import embeddings as embeddings_kind
from jobs.kinds.embeddings import EmbeddingsAnswer
from jobs.vector_encoding import pack
from tests.api.conftest import ANSWER
from tests.support.processes import PROJECT_ROOT

MODEL_MODULES = (
    access,
    responses,
    tasks,
    health,
    documents,
    document_content,
    requests,
    models,
    job_requests,
    chat_kind,
    embeddings_kind,
    openai_answers,
    openai_shapes,
)  # the models of request and response bodies
METHODS = {"get", "post", "delete", "put", "patch"}


@pytest.fixture
def document(api_client):
    return api_client.get("/openapi.json").json


def _operations(document):
    return [
        (f"{method.upper()} {path}", operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def test_the_document_is_valid_openapi_3_1(document):
    """Generators and validators can read it."""
    assert document["openapi"] == "3.1.0"
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_every_route_of_the_api_is_documented(api_app, document):
    """The document lists exactly the routes of the app."""
    routes = {
        method + " " + re.sub(r"<(?:[a-z]+:)?([a-z_]+)>", r"{\1}", rule.rule)
        for rule in api_app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule.startswith(("/api/", "/v1/", "/health"))
    }

    assert routes == {name for name, _ in _operations(document)}


def test_every_operation_documents_its_errors(document):
    """500 everywhere, 503 wherever Redis is used, others where they can occur. /v1 has 400 in place of 422."""
    for name, operation in _operations(document):
        assert operation["summary"], name
        statuses = set(operation["responses"])
        assert "500" in statuses, name
        assert "503" in statuses or name == "GET /health/live", name
        assert statuses >= {"401", "403"} or " /health" in name, name
        if "requestBody" in operation:
            assert statuses >= {"400", "413", "415"}, name
            assert "429" in statuses or not name.startswith("POST"), name  # others add no job
            assert ("422" in statuses) == ("/api/" in name), name
        if "{" in name:
            assert "404" in statuses, name


def _media(operation):
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]
        yield from (media for name, media in content.items() if name == "application/json")
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            yield from response.get("content", {}).values()


def test_every_body_has_examples_that_its_model_accepts(document):
    """An example that does not validate would mislead readers."""
    for name, operation in _operations(document):
        for media in _media(operation):
            is_file = "contentMediaType" in media["schema"]
            if is_file or media["schema"]["$ref"].endswith("StreamMessage"):
                continue
            model_name = media["schema"]["$ref"].rpartition("/")[2]
            model = next(getattr(module, model_name) for module in MODEL_MODULES if hasattr(module, model_name))
            examples = [item["value"] for item in media.get("examples", {}).values()] or [media["example"]]
            for example in examples:
                TypeAdapter(model).validate_json(json.dumps(example))
            assert examples, name


def test_examples_of_errors_are_complete_problems(document):
    """Each is valid for the model Problem."""
    for response in document["components"]["responses"].values():
        media = response["content"]["application/problem+json"]
        Problem.model_validate(media["example"])


def test_the_docs_page_needs_no_network(api_client):
    """All assets of Swagger UI are served by the app."""
    page = api_client.get("/docs").text

    assert "http" not in page.replace("<!DOCTYPE html>", "")
    for asset in ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js"]:
        assert f"/docs/assets/{asset}" in page
        with api_client.get(f"/docs/assets/{asset}") as response:
            assert response.status_code == 200
    assert api_client.get("/").headers["Location"] == "/docs"


VECTORS = EmbeddingsAnswer(vectors=(pack([0.5]),), model="e", usage=None)


class QuietHandler(WSGIRequestHandler):
    def log_request(self, *args):
        """Does not log: thousands of lines would hide the failure."""


def _end_queued_jobs(fake_worker, stop_event):
    """A worker that completes every job, and cancels the others, so that every stream ends."""
    while not stop_event.wait(0.02):
        while (job_id := fake_worker.next_queued()) is not None:
            try:
                fake_worker.complete(job_id, VECTORS if job_id.startswith("embd") else ANSWER)
            except AssertionError:
                fake_worker.cancel(job_id)


@pytest.fixture
def served(make_api, api_redis_port, fake_worker, tmp_path):
    """The app behind a real socket, with limits low enough for generated input to exceed them."""
    app = make_api(api_redis_port, max_message_chars=200, sync_wait_seconds=0.02, data_dir=tmp_path)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=QuietHandler)
    stop_event = threading.Event()
    threads = [
        threading.Thread(target=server.serve_forever),
        threading.Thread(target=_end_queued_jobs, args=(fake_worker, stop_event)),
    ]
    for thread in threads:
        thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    stop_event.set()
    for thread in threads:
        thread.join()
    server.server_close()


@pytest.mark.slow
def test_the_app_conforms_to_its_document(api_app, served, tmp_path):
    """Schemathesis runs every check: status, headers, content type and body are as documented for any input."""
    st = Path(sys.executable).with_name("st")
    config = PROJECT_ROOT / "tests/api/schemathesis.toml"

    run = subprocess.run(
        [st, "--config-file", config, "run", f"{served}/openapi.json", "--no-color"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT_ROOT)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )

    assert run.returncode == 0, "\n".join(line[:500] for line in run.stdout.splitlines()) + run.stderr[-2000:]
