"""The API of OpenAI under /v1, for clients that know no other: a front of the same jobs, and no second system.

    a body ── bodies, shapes ──> a task ── submitting ──> a job
    the job's log ── streams, *_events ──> the events or chunks that the client reads
    the job ── *_object ──> the object that the client reads

What OpenAI answers 400 is 400 here, where the native API says 422.
"""

from flask import Blueprint, Response

from api import problems
from api.openai import completions, embeddings, models, responses
from jobs.errors import InvalidRequest

blueprint = Blueprint("openai", __name__, url_prefix="/v1")
for _part in (responses.blueprint, completions.blueprint, embeddings.blueprint, models.blueprint):
    blueprint.register_blueprint(_part)


@blueprint.errorhandler(InvalidRequest)
def _render_invalid(error: InvalidRequest) -> Response:
    return problems.render(error, status=400)
