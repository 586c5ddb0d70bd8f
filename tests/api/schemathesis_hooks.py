"""Hooks of schemathesis: input that breaks rules that OpenAPI cannot express is replaced, and waits are short."""

import re
import uuid

import schemathesis

from api.schemas.requests import SubmitHeaders

_KEY = re.compile(SubmitHeaders.model_json_schema()["properties"]["Idempotency-Key"]["anyOf"][0]["pattern"])
_LONGEST_WAIT_SECONDS = 0.1


@schemathesis.hook
def before_call(context, case, kwargs):
    headers, query = case.headers or {}, case.query or {}
    if _KEY.fullmatch(str(headers.get("Idempotency-Key", ""))):
        case.headers["Idempotency-Key"] = (
            uuid.uuid4().hex
        )  # a new key for each request: another body under the same key is a conflict
    if isinstance(case.body, dict) and isinstance(case.body.get("documents"), list):
        case.body = {**case.body, "documents": "all"}  # random ids never belong to documents that are ready
    if "ids" in query and {"status", "cursor"} & query.keys():
        case.query = {name: value for name, value in query.items() if name not in {"status", "cursor"}}
    if re.fullmatch(r"\d+(\.\d+)?", str(query.get("wait"))) and _LONGEST_WAIT_SECONDS < float(query["wait"]) <= 60:
        case.query = query | {"wait": _LONGEST_WAIT_SECONDS}
