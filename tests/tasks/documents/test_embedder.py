"""The batches of one ingest: the provider's vectors must have one length."""

import asyncio

import pytest

from jobs.errors import ProviderBroken
from jobs.kinds.embeddings import EmbeddingsAnswer
from jobs.settings import Settings
from jobs.vector_encoding import pack
from tasks.documents.embedder import Embedder
from tests.support.fakes import fake


class Provider:
    """Answers each call with vectors of the next of these lengths."""

    def __init__(self, *lengths: int) -> None:
        self.lengths = list(lengths)

    async def embed(self, request, _timeouts, _target=""):
        vector = pack([0.5] * self.lengths.pop(0))
        return EmbeddingsAnswer(vectors=(vector,) * len(request.input), model="e", usage=None)


class OpenGovernor:
    """Lets every call start at once."""

    async def embed(self, provider, request, timeouts, _deadline):
        return await provider.embed(request, timeouts)


def embed_twice(provider: Provider):
    claim = fake(
        remaining_ms=60_000,
        max_attempts=4,
        lease=fake(job_id="j"),
        request=fake(limits=None),
    )

    async def both():
        embedder = Embedder(fake(settings=Settings(), provider=provider, governor=OpenGovernor()), claim)
        return await embedder.embed(["a", "b"]), await embedder.embed(["c"])

    return asyncio.run(both())


def test_batches_of_one_length_are_accepted():
    """Each text gets its vector, batch after batch."""
    first, second = embed_twice(Provider(3, 3))

    assert [len(vector) for vector in (*first, *second)] == [3, 3, 3]


def test_batches_of_unequal_lengths_fail_without_a_retry():
    """A retry would be billed and return the same lengths."""
    provider = Provider(3, 4, 3)
    with pytest.raises(ProviderBroken):
        embed_twice(provider)

    assert provider.lengths == [3]
