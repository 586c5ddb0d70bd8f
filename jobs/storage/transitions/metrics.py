"""The transition that adds a process' counts to those of all."""

from jobs.metrics import Addition
from jobs.storage import keys
from jobs.storage.commands import Command, script_command
from jobs.storage.transitions.shared_arguments import pairs


def add_counts(addition: Addition) -> Command[None]:
    return script_command(
        "add_counts",
        keys={"metrics": keys.METRICS, "latest": keys.latest_addition(addition.process)},
        args={"number": addition.number, "counts": pairs(addition.counts)},
        read=lambda _: None,
    )
