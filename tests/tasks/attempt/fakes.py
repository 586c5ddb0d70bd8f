"""A context, a store and a provider for attempts without Redis."""

import asyncio
from contextlib import suppress

from jobs.metrics import MetricCounts
from jobs.models import Claim, Lease
from jobs.settings import Settings
from tasks.attempt.metrics import AttemptMetrics
from tasks.attempt.steps import AttemptServices
from tasks.governor import Governor
from tasks.handlers.base import AttemptContext
from tasks.handlers.event_writer import EventWriter
from tasks.heartbeat import RunningAttempt
from tasks.outbox import Outbox
from tests.support.fakes import Fake, fake

LEASE = Lease(job_id="job_" + "0" * 32, queue="q", token=1, attempt=1, log_length=1)


class ScriptedProvider:
    """Streams the given deltas. A delta that is an exception is raised."""

    def __init__(self, *deltas) -> None:
        self.deltas = deltas
        self.requests = []

    async def chat(self, request, _timeouts, _target=""):
        self.requests.append(request)
        for delta in self.deltas:
            await asyncio.sleep(0)
            if isinstance(delta, BaseException):
                raise delta
            yield delta


class ScriptedStore(Fake):
    """Answers each script with its next reply; the last reply repeats. A reply that is an exception is raised."""

    def __init__(self, **replies) -> None:
        self.replies = {name: list(values) for name, values in replies.items()}
        self.commands = []

    async def run(self, command):
        name = command.script.name
        self.commands.append(command)
        replies = self.replies[name]
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if isinstance(reply, Exception):
            raise reply
        return command.read(reply)

    @property
    def names(self):
        return [command.script.name for command in self.commands]

    def sent(self, name):
        """The arguments of the latest command of that name, as text; '' if there was none."""
        with suppress(StopIteration):
            command = next(command for command in reversed(self.commands) if command.script.name == name)
            return " ".join(map(str, command.arguments))
        return ""


class TrackedLeases(Fake):
    """The part of the heartbeat that an attempt uses."""

    def __init__(self) -> None:
        self.tracked = []
        self.latest: RunningAttempt | None = None

    def track(self, lease):
        self.latest = RunningAttempt(lease)
        self.tracked.append(self.latest)
        return self.latest

    def untrack(self, running_attempt):
        self.tracked.remove(running_attempt)


class OpenGate(Fake):
    async def may_claim(self):
        return True


class Template(Fake):
    queue, high, high_list, normal, normal_list, publishes_in_store = "q", "", "", "", "", True


def make_services(store, provider, documents=None):
    return AttemptServices(
        settings=Settings(),
        worker="w",
        store=store,
        message_template=Template(),
        heartbeat=TrackedLeases(),
        outbox=Outbox(store, Template(), fake()),
        governor=Governor(store, Settings()),
        provider=provider,
        quarantine=fake(),
        documents=documents,
        claim_gate=OpenGate(),
        metrics=AttemptMetrics(MetricCounts(), Settings()),
    )


def make_context(request, *, provider, timeouts=None, documents=None, store=None):
    running_attempt = RunningAttempt(LEASE)
    claim = Claim(lease=LEASE, failures=0, worker_losses=0, max_attempts=3, remaining_ms=60_000, request=request)
    return AttemptContext(
        claim=claim,
        request=request,
        provider=provider,
        timeouts=timeouts,
        running_attempt=running_attempt,
        writer=EventWriter(running_attempt, store or ScriptedStore(append=[[b"appended", 2]]), 0.0),
        documents=documents,
    )
