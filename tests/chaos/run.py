"""Runs rows, each in its own environment."""

import sys
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tests.chaos import (
    kill_faults,
    message_faults,
    mixed,
    network,
    poison,
    provider_faults,
    rabbitmq,
    redis_faults,
    refusal_faults,
    stops,
    versions,
    web,
)
from tests.chaos.environment import Environment
from tests.chaos.fault import Fault, FaultSkipped
from tests.chaos.plan import Plan
from tests.chaos.table import ResultRow
from tests.chaos.verdict import Verdict, evaluate
from tests.support.processes import Process, running

FAULTS: tuple[Fault, ...] = (
    *kill_faults.FAULTS,
    *stops.FAULTS,
    *redis_faults.FAULTS,
    *refusal_faults.FAULTS,
    *network.FAULTS,
    *message_faults.FAULTS,
    *poison.FAULTS,
    *provider_faults.FAULTS,
    *web.FAULTS,
    *versions.FAULTS,
    *rabbitmq.FAULTS,
    *mixed.FAULTS,
)


def select_faults(names: Iterable[str], pool: str) -> list[Fault]:
    """The named faults, or all faults, that apply to the pool."""
    selected = set(names)
    return [fault for fault in FAULTS if pool in fault.pools and (not selected or fault.name in selected)]


def run_fault(fault: Fault, plan: Plan, logs: Path | None = None) -> ResultRow:
    """Run one row, with its own model, so that calls of one row are not counted in another."""
    started_at = time.monotonic()
    args = [sys.executable, "-m", "tests.chaos.model"]
    with running(args, ready="listening on ") as model, Environment(plan, _url(model), plan.seed) as environment:
        try:
            fault.inject(environment)
        except FaultSkipped as reason:
            return ResultRow(fault.title, plan.pool, skipped=str(reason))
        except Exception as error:  # one broken row must not hide the others
            traceback.print_exc()
            environment.failures.append(f"the row was aborted: {type(error).__name__}: {str(error)[:200]}")
        verdict = _evaluate(environment, fault)
        if logs is not None:
            _save_logs(environment, logs / f"{fault.name}-{plan.pool}-{plan.seed}")
        print(f"{fault.name}: {time.monotonic() - started_at:.0f} s", file=sys.stderr, flush=True)  # noqa: T201
        return ResultRow(fault.title, plan.pool, verdict, tuple(environment.recovery_seconds), tuple(environment.notes))


def _evaluate(environment: Environment, fault: Fault) -> Verdict:
    share = fault.extra_calls_share
    if share is not None and environment.calls().extra > share * len(environment.client.sent):
        environment.failures.append(f"more than {share:.0%} extra calls")
    return evaluate(environment, fault.end_seconds)


def _url(model: Process) -> str:
    return model.wait_for("listening on").split()[-1]


def _save_logs(environment: Environment, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, worker in enumerate([*environment.fleet.ended, *environment.fleet.workers]):
        with suppress(OSError):
            (folder / f"worker-{number}-{worker.pid}.log").write_text(worker.process.output)
