"""What a worker process measures of its attempts."""

import time
from typing import Any, Final

from jobs.kinds.base import Answer
from jobs.metrics import ATTEMPT, ERRORS, FIRST_OUTPUT, JOB_WAIT, TOKENS, MetricCounts
from jobs.model_labels import ModelLabels
from jobs.models import Claim
from jobs.results import Usage
from jobs.settings import Settings
from tasks.attempt.outcomes import Failure, Finished, Outcome, Retrying
from tasks.handlers.base import AttemptContext

_REQUEUED: Final = "requeued"
_LOST: Final = "lost"


class AttemptMetrics:
    """Counts the attempts of one process."""

    def __init__(self, counts: MetricCounts, settings: Settings) -> None:
        self._counts = counts
        self._models = ModelLabels(settings)

    def started(self, claim: Claim) -> None:
        if claim.lease.attempt == 1:
            self._counts.observe(JOB_WAIT, (claim.request.kind,), claim.age_ms / 1000)

    def ended(self, context: AttemptContext[Any], ending: Answer | Failure, outcome: Outcome) -> None:
        kind, model = context.request.kind, self._models.of(context.request.model)
        self._counts.observe(ATTEMPT, (kind, _name(outcome)), time.monotonic() - context.started_at)
        if context.first_output_at is not None:
            self._counts.observe(FIRST_OUTPUT, (kind, model), context.first_output_at - context.started_at)
        if isinstance(outcome, Finished | Retrying) and outcome.error is not None:
            self._counts.count(ERRORS, (outcome.error.code,))
        if (usage := _usage(context, ending)) is not None:
            self._counts.count(TOKENS, (model, "input"), usage.input_tokens)
            self._counts.count(TOKENS, (model, "output"), usage.output_tokens)


def _name(outcome: Outcome) -> str:
    match outcome:
        case Finished(state, _):
            return state
        case Retrying():
            return _REQUEUED
    return _LOST


def _usage(context: AttemptContext[Any], ending: Answer | Failure) -> Usage | None:
    """Of an attempt without an answer: what it has received."""
    if isinstance(ending, Answer):
        return ending.usage
    return context.writer.usage if context.first_output_at is not None else None
