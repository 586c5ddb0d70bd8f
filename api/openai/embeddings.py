"""/v1/embeddings."""

import json
from collections.abc import Iterator
from typing import Any, Final

from flask import Response

from api.openai import examples, response_schemas
from api.openai.blueprint_class import OpenAIBlueprint
from api.openai.errors import cancelled_error
from api.openai.request_schemas import EmbeddingsBody
from api.openai.submission import submit, track_delivery, wait_for_final_view
from api.schemas.requests import SubmitHeaders
from jobs.kinds.embeddings import EmbeddingsAnswer, EmbeddingsTask
from jobs.vector_encoding import unpack

blueprint = OpenAIBlueprint(
    "embeddings", __name__, url_prefix="/embeddings", description="OpenAI-compatible embeddings"
)

_HANDLED_FIELDS: Final = ("input", "dimensions", "encoding_format")


@blueprint.route("", methods=["POST"])
@blueprint.arguments(SubmitHeaders, location="headers")
@blueprint.arguments(EmbeddingsBody, examples=examples.EMBEDDINGS_REQUESTS)
@blueprint.response(
    200,
    response_schemas.EmbeddingList,
    description="The vectors.",
    example=examples.EMBEDDINGS,
    headers=examples.PROVIDER_HEADERS,
)
@blueprint.problems(400, 404, 413, 415, 429, 502, 503, 504)
def create_embeddings(headers: SubmitHeaders, body: EmbeddingsBody) -> Any:
    """Create embeddings and wait for them.

    Closing the connection cancels the job, unless the request has an Idempotency-Key or the client repeats the request.
    """
    task = EmbeddingsTask.model_construct(  # validated already
        kind="embeddings",
        input=body.input,
        model=body.model,
        dimensions=body.dimensions,
        encoding_format=body.encoding_format,
        metadata=body.metadata or {},
        extra_body=body.passthrough_fields(*_HANDLED_FIELDS),
    )
    submission = submit(task, "embd", headers)
    view = wait_for_final_view(submission)
    if not isinstance(view.answer, EmbeddingsAnswer):
        raise cancelled_error(view.record.job_id)
    response = Response(_embeddings(view.answer, body.encoding_format), content_type="application/json")
    return track_delivery(submission, response, view.record)


def _embeddings(answer: EmbeddingsAnswer, encoding_format: str) -> Iterator[str]:
    """Generated incrementally: thousands of vectors in one step would block all other requests."""
    yield '{"object":"list","data":['
    for index, vector in enumerate(answer.vectors):
        embedding = vector if encoding_format == "base64" else list(unpack(vector))
        row = {"object": "embedding", "index": index, "embedding": embedding}
        yield ("," if index else "") + json.dumps(row, separators=(",", ":"))
    tokens = answer.usage.input_tokens if answer.usage else 0
    usage = {"prompt_tokens": tokens, "total_tokens": answer.usage.total_tokens if answer.usage else tokens}
    yield f'],"model":{json.dumps(answer.model)},"usage":{json.dumps(usage)}}}'
