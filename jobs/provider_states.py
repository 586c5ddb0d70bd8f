"""The state of the targets: what is known of their limits, and whether they may be called now."""

from typing import Literal, TypeAlias

from pydantic import TypeAdapter

from jobs.base import HIDE_INPUT, FrozenModel
from jobs.storage import keys
from jobs.storage.commands import Command, script_command
from jobs.storage.sync_store import Store

LimitSource: TypeAlias = Literal["configured", "header", "refusal"]


class TargetState(FrozenModel):
    """One model at one provider, or a provider with limits of its own. None: no such limit is known."""

    name: str
    is_open: bool
    closed_reason: str | None = None
    closed_until_ms: int | None = None
    running: int
    requests_last_minute: int
    tokens_last_minute: int | None = None
    requests_per_minute: int | None = None
    requests_source: LimitSource | None = None
    tokens_per_minute: int | None = None
    tokens_source: LimitSource | None = None
    concurrency: int | None = None


_STATES = TypeAdapter(tuple[TargetState, ...], config=HIDE_INPUT)


def target_states() -> Command[tuple[TargetState, ...]]:
    """The targets and providers that are configured or were called within a day."""
    return script_command("target_states", keys={"namespace": keys.NAMESPACE}, args={}, read=_STATES.validate_json)


def read_target_states(store: Store) -> tuple[TargetState, ...]:
    """By name."""
    states: tuple[TargetState, ...] = store.run(target_states())
    return tuple(sorted(states, key=lambda target: target.name))
