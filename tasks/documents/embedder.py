"""Embeds the chunks of one document, batch by batch."""

import asyncio
import logging
import random
from collections.abc import Sequence

from jobs import vector_encoding
from jobs.errors import AttemptError
from jobs.kinds.embeddings import EmbeddingsTask
from jobs.models import Claim
from jobs.results import Usage
from tasks.documents.services import DocumentServices
from tasks.provider.errors import deadline_passed, protocol_error
from tasks.provider.timeouts import Timeouts
from tasks.retry import GiveUp, decide

logger = logging.getLogger(__name__)


class Embedder:
    """Embeds the batches of one attempt. Each batch has the timeouts and the retries of a job.

    A document of a thousand pages takes a hundred calls: one failed call must not cost the others.
    """

    def __init__(self, services: DocumentServices, claim: Claim) -> None:
        self._services = services
        self._claim = claim
        self._deadline = asyncio.get_running_loop().time() + claim.remaining_ms / 1000
        self._first_vector: str | None = None  # sets the length of all vectors
        self.usage: Usage | None = None

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Embed one batch. Raises AttemptError."""
        failures = 0
        while True:
            try:
                return await self._embed_once(texts)
            except AttemptError as error:
                failures += 1
                wait_seconds = self._retry_wait_seconds(error, failures)
                logger.info("embedding_batch_retried job_id=%s code=%s", self._claim.lease.job_id, error.code)
            await asyncio.sleep(wait_seconds)

    async def _embed_once(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        settings = self._services.settings
        request = EmbeddingsTask.model_construct(
            kind="embeddings", input=tuple(texts), model=settings.document_embedding_model
        )
        timeouts = Timeouts.of(self._claim.request.limits, self._remaining_seconds, settings)
        answer = await self._services.governor.embed(self._services.provider, request, timeouts, self._deadline)
        self.usage = _add_usage(self.usage, answer.usage)
        self._first_vector = self._first_vector or answer.vectors[0]
        if not vector_encoding.have_same_length((self._first_vector, *answer.vectors)):
            raise protocol_error()
        return [vector_encoding.unpack(vector) for vector in answer.vectors]

    @property
    def _remaining_seconds(self) -> float:
        """Seconds until the job's deadline. Raises DeadlineExceeded."""
        remaining = self._deadline - asyncio.get_running_loop().time()
        if remaining <= 0:
            raise deadline_passed()
        return remaining

    def _retry_wait_seconds(self, error: AttemptError, failures: int) -> float:
        """Seconds until the next call. Raises the error if the batch is not retried: it then fails the attempt."""
        decision = decide(
            error,
            failures,
            self._claim.max_attempts,
            self._remaining_seconds,
            self._services.settings,
            random.random(),  # noqa: S311  # spreads retries
        )
        if isinstance(decision, GiveUp):
            raise error
        return decision.wait_seconds


def _add_usage(total: Usage | None, increment: Usage | None) -> Usage | None:
    if total is None or increment is None:
        return total or increment
    return Usage(
        input_tokens=total.input_tokens + increment.input_tokens,
        output_tokens=total.output_tokens + increment.output_tokens,
        total_tokens=total.total_tokens + increment.total_tokens,
        estimated=total.estimated or increment.estimated,
    )
