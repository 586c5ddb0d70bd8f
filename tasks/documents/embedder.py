"""Embeds the chunks of one document, batch by batch."""

from collections.abc import Sequence

from jobs import vector_encoding
from jobs.kinds.embeddings import EmbeddingsAnswer, EmbeddingsTask
from jobs.models import Claim
from jobs.results import Usage
from tasks.documents.retried_calls import RetriedCalls
from tasks.documents.services import DocumentServices
from tasks.provider.errors import protocol_error
from tasks.provider.timeouts import Timeouts


class Embedder:
    """Embeds the batches of one attempt. A document of a thousand pages takes a hundred calls."""

    def __init__(self, services: DocumentServices, claim: Claim) -> None:
        self._services = services
        self._calls = RetriedCalls(claim, services.settings)
        self._first_vector: str | None = None  # sets the length of all vectors
        self.usage: Usage | None = None

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Embed one batch. Raises AttemptError."""
        model = self._services.settings.document_embedding_model
        request = EmbeddingsTask.model_construct(kind="embeddings", input=tuple(texts), model=model)

        async def embed_once(timeouts: Timeouts) -> EmbeddingsAnswer:
            services = self._services
            answer = await services.governor.embed(services.provider, request, timeouts, self._calls.deadline)
            self._add_usage(answer.usage)
            self._first_vector = self._first_vector or answer.vectors[0]
            if not vector_encoding.have_same_length((self._first_vector, *answer.vectors)):
                raise protocol_error()
            return answer

        answer = await self._calls.run(embed_once)
        return [vector_encoding.unpack(vector) for vector in answer.vectors]

    def _add_usage(self, usage: Usage | None) -> None:
        self.usage = self.usage + usage if self.usage and usage else self.usage or usage
