"""Embeddings: texts turned into vectors."""

from jobs.kinds.embeddings import EmbeddingsAnswer, EmbeddingsTask
from tasks.handlers.base import AttemptContext


async def run(context: AttemptContext[EmbeddingsTask]) -> EmbeddingsAnswer:
    return await context.provider.embed(context.request, context.timeouts, context.claim.target)
