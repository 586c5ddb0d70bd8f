"""Summarizes long documents section by section, with one call to the model for each.

The result of each call is an event in the job's log. An attempt that follows a crash, a deploy or a failed call reads
these events and makes only the calls that are missing, so a crash costs no more than the calls that were under way.
Cancelling the job closes the connections of those calls.

Logs:
    summary_resumed  job_id, steps: results of earlier attempts that are used
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from documents.answering.prompting import Prompt, build_overview_prompt, build_section_prompt, count_part_tokens
from documents.answering.sections import Section
from documents.answering.summaries import (
    SectionSummary,
    combine_summaries,
    group_summaries,
    section_summary,
    step_key,
    trim_answer,
)
from jobs import queries
from jobs.events import read_events
from jobs.kinds.chat import ChatAnswer, ChatTask
from jobs.models import Progress
from jobs.results import SectionStep, Usage
from jobs.storage import transitions
from tasks.documents.retried_calls import RetriedCalls
from tasks.handlers.base import AttemptContext
from tasks.provider.formats.delta import Delta
from tasks.provider.timeouts import Timeouts

logger = logging.getLogger(__name__)

MAX_CONCURRENT_CALLS: Final = 4  # of one job: what a crash may cost, and a share of the provider that leaves room
_MAX_OUTPUT_TOKENS: Final = 4_000  # of a step, including a model's reasoning
_EVENTS_PER_READ: Final = 500


@dataclass(frozen=True, slots=True)
class _Step:
    """One call: its prompt, and the section or group of sections that it summarizes."""

    key: str
    prompt: Prompt = field(repr=False)
    document_id: str  # empty for a group
    filename: str
    title: str = field(repr=False)
    pages: tuple[int, int]
    new_pages: int  # that count as done after the step


class Summarizer:
    """The steps of one attempt."""

    def __init__(self, context: AttemptContext[ChatTask], sections: Sequence[Section]) -> None:
        self._context = context
        self._question = context.request.message
        self._sections = sections
        self._calls = RetriedCalls(context.claim, context.documents.settings)
        self._turns = asyncio.Semaphore(MAX_CONCURRENT_CALLS)
        self._lent_targets = [context.claim.target]  # the job's own call is the last one; one other takes its place
        self._kept: dict[str, tuple[str, Usage | None]] = {}  # results of earlier attempts
        self._progress = Progress(pages_done=0, pages=sum(map(_page_count, sections)))

    async def summarize(self) -> list[SectionSummary]:
        """The summaries of all sections, in order. Raises AttemptError."""
        self._kept = await self._read_kept_steps()
        if self._kept:
            logger.info("summary_resumed job_id=%s steps=%d", self._context.job_id, len(self._kept))
        starts = [0]
        for section in self._sections:
            starts.append(starts[-1] + len(section.sources))
        return await _gather(map(self._summarize_section, self._sections, starts))

    async def shorten(self, summaries: Sequence[SectionSummary], max_tokens: int) -> list[SectionSummary]:
        """As few summaries as fit into one prompt: groups of them are summarized again. Raises AttemptError."""
        shortened = list(summaries)
        while len(shortened) > 1 and sum(count_part_tokens(summary.part) for summary in shortened) > max_tokens:
            shortened = await _gather(map(self._summarize_group, group_summaries(shortened, max_tokens)))
        return shortened

    async def _summarize_section(self, section: Section, numbered_before: int) -> SectionSummary:
        prompt = build_section_prompt(self._question, section.sources)
        key = step_key(prompt.system, self._question, [source.text for source in section.sources])
        place = section.document_id, section.filename, section.title, section.pages
        answer = await self._run(_Step(key, prompt, *place, new_pages=_page_count(section)))
        return section_summary(section, answer, numbered_before)

    async def _summarize_group(self, group: Sequence[SectionSummary]) -> SectionSummary:
        if len(group) == 1:
            return group[0]
        prompt = build_overview_prompt(self._question, [summary.part for summary in group])
        key = step_key(prompt.system, self._question, [summary.text for summary in group])
        whole = combine_summaries(group, "")
        answer = await self._run(_Step(key, prompt, "", whole.filename, whole.title, whole.pages, new_pages=0))
        return combine_summaries(group, answer)

    async def _run(self, step: _Step) -> str:
        """The model's answer, from an earlier attempt or from a call."""
        if step.key in self._kept:
            answer, usage = self._kept[step.key]
        else:
            answer, usage = await self._call(step.prompt)
        self._note(step, answer, usage)
        return answer

    async def _call(self, prompt: Prompt) -> tuple[str, Usage | None]:
        services, provider = self._context.documents, self._context.provider
        request = ChatTask(
            kind="chat",
            system=prompt.system,
            message=prompt.message,
            model=self._context.request.model,
            temperature=self._context.request.temperature,
            max_output_tokens=_MAX_OUTPUT_TOKENS,
            limits=self._context.request.limits,
        )

        async def call_once(timeouts: Timeouts) -> ChatAnswer:
            async with self._turns, self._lent_target() as lent:
                return await services.governor.chat(provider, request, timeouts, self._calls.deadline, lent)

        answer = await self._calls.run(call_once)
        return trim_answer(answer.text), answer.usage

    @asynccontextmanager
    async def _lent_target(self) -> AsyncIterator[str]:
        """The target at which the job's own call is counted, for one call at a time; '' for the others."""
        lent = self._lent_targets.pop() if self._lent_targets else ""
        try:
            yield lent
        finally:
            if lent:
                self._lent_targets.append(lent)

    def _note(self, step: _Step, answer: str, usage: Usage | None) -> None:
        """Count the step, and keep its result for later attempts."""
        writer, progress = self._context.writer, self._progress
        done = progress.pages_done + step.new_pages
        self._progress = writer.progress = Progress(pages_done=done, pages=progress.pages)
        if usage:
            writer.other_usage = writer.other_usage + usage if writer.other_usage else usage
        if step.key in self._kept:
            return
        noted = SectionStep(
            key=step.key,
            document_id=step.document_id,
            filename=step.filename,
            title=step.title,
            first_page=step.pages[0],
            last_page=step.pages[1],
            text=answer,
            pages_done=done,
            pages=progress.pages,
        )
        writer.add(Delta(event=transitions.section_event(noted, usage)))

    async def _read_kept_steps(self) -> dict[str, tuple[str, Usage | None]]:
        """The results in the job's log."""
        kept = {}
        for first in range(0, self._context.claim.lease.log_length, _EVENTS_PER_READ):
            lines = await self._context.documents.store.run(
                queries.events(self._context.job_id, first, _EVENTS_PER_READ)
            )
            for event in read_events(lines, first):
                if event.section:
                    kept[event.section.key] = event.section.text, event.usage
        return kept


def _page_count(section: Section) -> int:
    return section.pages[1] - section.pages[0] + 1


async def _gather(work: Iterable[Coroutine[Any, Any, SectionSummary]]) -> list[SectionSummary]:
    """The results in order. The first error cancels the other calls."""
    with _first_error():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(step) for step in work]
    return [task.result() for task in tasks]


@contextmanager
def _first_error() -> Iterator[None]:
    try:
        yield
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
