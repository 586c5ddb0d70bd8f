"""The work of each kind of job, from its request to its answer. jobs/kinds describes the kinds."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from jobs.kinds.base import Answer
from jobs.results import JobError
from tasks.kinds import chat, completion, embeddings, ingest, removal, response
from tasks.kinds.base import AttemptContext

Run: TypeAlias = Callable[[AttemptContext[Any]], Awaitable[Answer]]
OnFailed: TypeAlias = Callable[[AttemptContext[Any], JobError], Awaitable[None]]


@dataclass(frozen=True)
class Work:
    """``run`` does the work of one attempt; ``on_failed`` is called before the job ends as failed.

    Both may be called any number of times for one job, and may be interrupted at any point.
    """

    run: Run
    on_failed: OnFailed | None = None


WORK: Final[Mapping[str, Work]] = {
    "chat": Work(chat.run),
    "embeddings": Work(embeddings.run),
    "completion": Work(completion.run),
    "response": Work(response.run),
    "ingest": Work(ingest.run, ingest.on_failed),
    "removal": Work(removal.run),
}
