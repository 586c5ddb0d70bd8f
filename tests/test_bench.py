"""The benchmark: its arithmetic and its tables are right, and it really measures chatqueue."""

import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest

from bench import machine
from bench.cpu_accounting import measure_usage
from bench.figures import column, median_of, percentile, ratio
from bench.plan import Plan
from bench.rounds import for_systems, run_rounds, select_names
from bench.rows import FAMILIES, calls
from bench.systems import ARQ, DRAMATIQ, RQ_POOL, TASKIQ, THREADS, NotInstalled
from bench.table import Table

TINY = Plan(
    rounds=1,
    calls=10,
    in_flight=10,
    slow_seconds=1,
    connections=4,
    submit_seconds=0.3,
    round_trips=3,
    streams=2,
    stream_tokens=10,
    idle_readers=3,
    records=(1_000,),
    chunks=(50,),
    queued=100,
    stored=20,
)
ROWS = {  # the row of each table that is run here
    "calls": "chatqueue",
    "submit": "chatqueue",
    "latency": "chatqueue, POST /chat/sync",
    "first_token": "with stream",
    "openai_client": "responses.create",
    "relay": "own job",
    "idle_readers": "idle readers",
    "overview": "chatqueue",
    "memory": "chatqueue",
    "ask": "chatqueue",
    "durability": "chatqueue, replicas=1",
}
BURN = "import os; [sum(range(10_000_000)) for _ in range(2)]; print('done', flush=True); input()"


@dataclass(frozen=True)
class Result:
    rate: float | None = column("calls/s", 1, has_ratio=True)
    megabytes: float | None = column("MB", 0)
    unseen: float | None = column("never measured")


def lines_of(table):
    return table.markdown().splitlines()


def test_the_figure_of_a_row_is_the_median_of_its_rounds():
    """Each figure is the median of the rounds in which it was measured."""
    rounds = [Result(10, 100), Result(30, None), Result(20, 300)]

    assert median_of(rounds) == Result(20, 200)


def test_a_percentile_is_a_measured_value():
    """Percentiles are never interpolated, also when there is only one value."""
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile(range(100), 0.99) == 99
    assert percentile([7], 0.99) == 7


def test_there_is_no_ratio_to_an_unknown_value_or_zero():
    """A missing figure or a zero reference is printed as a dash instead of failing the run."""
    assert ratio(3, 2) == 1.5
    assert ratio(None, 2) is None
    assert ratio(3, None) is None
    assert ratio(3, 0) is None


def test_a_table_compares_each_row_with_the_first():
    """Ratios refer to the first row, missing figures are dashes, and columns without figures are omitted."""
    table = Table("Speed", {"chatqueue": [Result(1_200, 50)], "peer": [Result(300, None)]}, notes=("a note",))

    assert lines_of(table) == [
        "### Speed",
        "",
        "|  | calls/s | x | MB |",
        "| --- | ---: | ---: | ---: |",
        "| chatqueue | 1,200.0 | 1 | 50 |",
        "| peer | 300.0 | 0.25 | - |",
        "- a note",
    ]


def test_rows_are_selected_by_name_or_by_a_part_of_it():
    """A whole name selects only this row; a part selects every row that contains it."""
    names = ["ours", "ours, faster", "theirs"]

    assert select_names((), names) == set(names)
    assert select_names(("ours",), names) == {"ours"}
    assert select_names(("faster", "their"), names) == {"ours, faster", "theirs"}


def test_a_row_that_fails_is_listed_with_the_reason_and_the_others_are_measured():
    """A peer that does not start must not abort the run."""

    def fail(plan):
        raise RuntimeError("no port\nand a long output")

    table = run_rounds("Speed", replace(TINY, rounds=2), {"broken": fail, "ours": lambda _: Result(1)})

    assert len(table.rounds["ours"]) == 2
    assert "- not measured: broken: RuntimeError: no port" in lines_of(table)


@pytest.mark.slow
@pytest.mark.parametrize("peer", [ARQ, TASKIQ, DRAMATIQ, RQ_POOL, THREADS], ids=lambda peer: peer.name)
def test_a_peer_that_is_not_installed_is_reported(peer):
    """Only `make bench` installs the peers; without them the table contains the reason."""
    with suppress(NotInstalled):
        pytest.skip(f"{peer.package} is installed in {peer.bin_folder()}")
    table = run_rounds("Calls", TINY, for_systems([peer], calls.measure))

    assert f"- not measured: {peer.name}: {peer.package} is not installed; `make bench` installs it" in lines_of(table)


@pytest.mark.processes
@pytest.mark.parametrize("peer", [ARQ, TASKIQ, DRAMATIQ, RQ_POOL, THREADS], ids=lambda peer: peer.name)
def test_an_installed_peer_answers_calls(peer):
    """The program written for each peer works; its row would otherwise be missing from the table."""
    try:
        peer.bin_folder()
    except NotInstalled as error:
        pytest.skip(f"{error}, in its own environment")
    measured = calls.measure(peer, TINY)

    assert (measured.rate or 0) > 0


def test_cpu_time_includes_children_that_have_ended():
    """`rq worker` forks for each job, so the time of the parent alone would be far too low."""
    burn_in_child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}], input='x', text=True)"
    waits = f"input(); {burn_in_child}; print('waited', flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", waits], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process, measure_usage({"tree": [process.pid], "nobody": []}) as usage:
        process.stdin.write("go\n")
        process.stdin.flush()
        while process.stdout.readline().strip() != "waited":
            pass
    assert usage.cpu_seconds["tree"] > 0.05
    assert usage.cpu_ms("tree", 10) == pytest.approx(usage.cpu_seconds["tree"] * 100)
    assert usage.cpu_ms("nobody", 10) is None


def test_there_is_a_tiny_run_of_each_table():
    """A new table must be added to the rows that this test runs."""
    assert set(ROWS) == set(FAMILIES)


@pytest.mark.processes
@pytest.mark.parametrize("family", ROWS)
def test_each_table_measures_chatqueue(family):
    """One row of each table works end to end, at a tiny size; a failing row would only be listed as not measured."""
    table = FAMILIES[family](replace(TINY, systems=(ROWS[family],)))

    assert table.skipped == {}
    assert [len(results) for results in table.rounds.values()] == [1]
    assert "| chatqueue" in table.markdown()


def test_the_machine_and_the_versions_are_described():
    """Figures are meaningless without the machine and the versions that they were measured with."""
    assert "celery 5" in machine.description()
    assert "cores" in machine.description()
