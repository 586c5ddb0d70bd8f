"""The command `stats`."""

from typing import Any

import click

from cli.jobs import seconds_option
from cli.output import Report, Rows
from cli.session import Session, client_command


@click.command()
@click.option("--watch", is_flag=True, help="Show changes until Ctrl-C.")
@seconds_option
@client_command
def stats(session: Session, watch: bool, interval: float) -> None:
    """Show the state of the queue: jobs by status, what they wait for, workers and rates."""

    def read() -> Report:
        value = session.client.get("/queue/stats")
        return Report(value, _tables(value))

    session.output.watch(read, interval) if watch else session.output.report(read())


def _tables(value: dict[str, Any]) -> list[Rows]:
    oldest = value["oldest_queued_seconds"]
    figures = [
        *value["counts"].items(),
        ("waiting for retry", value["waiting_for_retry"]),
        ("oldest queued, seconds", "" if oldest is None else round(oldest, 1)),
        *((f"{name} per minute", round(rate, 1)) for name, rate in value["rates_per_minute"].items()),
    ]
    pools = [(pool["pool"], pool["lane"], pool["queued"], pool["waiting_for"]) for pool in value["pools"]]
    workers = [
        (worker["name"], worker["version"], worker["takes_jobs"], worker["free_slots"], worker["slots"])
        for worker in value["workers"]
    ]
    return [
        Rows(("jobs", ""), figures),
        Rows(("pool", "lane", "queued", "waiting for"), pools),
        Rows(("worker", "version", "takes jobs", "free slots", "slots"), workers),
    ]
