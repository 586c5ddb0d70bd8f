"""The OpenAI-compatible API under /v1. It is another front end to the same jobs.

    request body ── request_schemas ──> task ── submission ──> job
    event log of the job ── stream, api/streaming ──> the events or chunks that the client reads
    job ── snapshot, encoding ──> the object that the client reads

Invalid requests get 400, as from OpenAI. The native API returns 422 for them.
"""

from api.openai import compaction, completions, embeddings, models, responses, text_completions

PREFIX = "/v1"
BLUEPRINTS = (
    responses.blueprint,
    compaction.blueprint,
    completions.blueprint,
    text_completions.blueprint,
    embeddings.blueprint,
    models.blueprint,
)
