"""The OpenAI-compatible API under /v1. It is another front end to the same jobs.

    request body ── request_schemas ──> task ── submission ──> job
    event log of the job ── stream, api/streaming ──> the events or chunks that the client reads
    job ── snapshot, encoding ──> the object that the client reads

Invalid requests are answered 400, as OpenAI does, where the native API answers 422.
"""

from api.openai import completions, embeddings, models, responses

PREFIX = "/v1"
BLUEPRINTS = (responses.blueprint, completions.blueprint, embeddings.blueprint, models.blueprint)
