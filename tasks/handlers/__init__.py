"""The handler of each kind of job: its work, from request to answer. jobs/kinds describes the kinds."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from jobs.kinds.base import Answer
from jobs.results import JobError
from tasks.handlers import chat, completion, embeddings, ingest, removal, response, text_completion
from tasks.handlers.base import AttemptContext

Run: TypeAlias = Callable[[AttemptContext[Any]], Awaitable[Answer]]
OnFailed: TypeAlias = Callable[[AttemptContext[Any], JobError], Awaitable[None]]


@dataclass(frozen=True)
class Handler:
    """``run`` does the work of one attempt; ``on_failed`` is called before the job ends as failed.

    Both may be called any number of times for one job, and may be interrupted at any point.
    """

    run: Run
    on_failed: OnFailed | None = None


HANDLERS: Final[Mapping[str, Handler]] = {
    "chat": Handler(chat.run),
    "embeddings": Handler(embeddings.run),
    "completion": Handler(completion.run),
    "response": Handler(response.run),
    "text_completion": Handler(text_completion.run),
    "ingest": Handler(ingest.run, ingest.on_failed),
    "removal": Handler(removal.run),
}
