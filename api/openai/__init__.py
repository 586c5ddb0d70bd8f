"""The API of OpenAI under /v1, for clients that know no other: a front of the same jobs, and no second system.

    a body ── shapes ──> a task ── submitting ──> a job
    the job's log ── streams, *_events ──> the events or chunks that the client reads
    the job ── *_object ──> the object that the client reads

What OpenAI answers 400 is 400 here, where the native API says 422.
"""

from api.openai import completions, embeddings, models, responses

PREFIX = "/v1"
BLUEPRINTS = (responses.blueprint, completions.blueprint, embeddings.blueprint, models.blueprint)
