"""The benchmark: its arithmetic and its tables are right, and what it says of chatqueue it has measured."""

import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest

from bench import machine
from bench.cpu_accounting import billed
from bench.figures import column, median_of, percentile, ratio
from bench.plan import Plan
from bench.rounds import chosen, in_turn, of_systems
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
ROWS = {  # of each family the one that is run here
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
}
BURN = "import os; [sum(range(10_000_000)) for _ in range(2)]; print('burnt', flush=True); input()"


@dataclass(frozen=True)
class Result:
    rate: float | None = column("calls/s", 1, has_ratio=True)
    megabytes: float | None = column("MB", 0)
    unseen: float | None = column("never measured")


def lines_of(table):
    return table.markdown().splitlines()


def test_the_figure_of_a_row_is_the_median_of_its_rounds():
    rounds = [Result(10, 100), Result(30, None), Result(20, 300)]

    assert median_of(rounds) == Result(20, 200)


def test_a_percentile_is_a_value_that_was_measured():
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile(range(100), 0.99) == 99
    assert percentile([7], 0.99) == 7


def test_there_is_no_ratio_to_what_is_unknown_or_nought():
    assert ratio(3, 2) == 1.5
    assert ratio(None, 2) is None
    assert ratio(3, None) is None
    assert ratio(3, 0) is None


def test_a_table_compares_each_row_with_the_first():
    table = Table("Speed", {"ours": [Result(1_200, 50)], "theirs": [Result(300, None)]}, notes=("so it is",))

    assert lines_of(table) == [
        "### Speed",
        "",
        "|  | calls/s | x | MB |",
        "| --- | ---: | ---: | ---: |",
        "| ours | 1,200.0 | 1 | 50 |",
        "| theirs | 300.0 | 0.25 | - |",
        "- so it is",
    ]


def test_rows_are_chosen_by_name_or_by_a_part_of_it():
    names = ["ours", "ours, faster", "theirs"]

    assert chosen((), names) == set(names)
    assert chosen(("ours",), names) == {"ours"}
    assert chosen(("faster", "their"), names) == {"ours, faster", "theirs"}


def test_what_fails_is_left_out_with_its_reason_and_the_others_go_on():
    """A peer that does not start must not cost the run."""

    def fail(plan):
        raise RuntimeError("no port\nand much output")

    table = in_turn("Speed", replace(TINY, rounds=2), {"broken": fail, "ours": lambda _: Result(1)})

    assert len(table.rounds["ours"]) == 2
    assert "- not measured: broken: RuntimeError: no port" in lines_of(table)


@pytest.mark.parametrize("peer", [ARQ, TASKIQ, DRAMATIQ, RQ_POOL, THREADS], ids=lambda peer: peer.name)
def test_a_peer_that_is_not_installed_is_named_as_such(peer):
    """Peers are installed by `make bench` alone."""
    with suppress(NotInstalled):
        pytest.skip(f"{peer.package} is installed in {peer.bin_folder()}")
    table = in_turn("Calls", TINY, of_systems([peer], calls.measure))

    assert f"- not measured: {peer.name}: {peer.package} is not installed; `make bench` installs it" in lines_of(table)


@pytest.mark.parametrize("peer", [ARQ, TASKIQ, DRAMATIQ, RQ_POOL, THREADS], ids=lambda peer: peer.name)
def test_a_peer_that_is_installed_answers_calls(peer):
    try:
        peer.bin_folder()
    except NotInstalled as error:
        pytest.skip(f"{error}, apart from the tools for tests")
    measured = calls.measure(peer, TINY)

    assert measured.rate > 0


def test_cpu_time_is_counted_of_a_process_and_of_the_child_that_it_has_waited_for():
    """`rq worker` forks for each job: its parent's own time says nothing."""
    burn_in_child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}], input='x', text=True)"
    waits = f"input(); {burn_in_child}; print('waited', flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", waits], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process, billed({"tree": [process.pid], "nobody": []}) as bill:
        process.stdin.write("go\n")
        process.stdin.flush()
        while process.stdout.readline().strip() != "waited":
            pass
    assert bill.cpu_seconds["tree"] > 0.05
    assert bill.cpu_ms("tree", 10) == pytest.approx(bill.cpu_seconds["tree"] * 100)
    assert bill.cpu_ms("nobody", 10) is None


def test_there_is_a_tiny_run_of_each_family():
    assert set(ROWS) == set(FAMILIES)


@pytest.mark.parametrize("family", ROWS)
def test_each_family_measures_chatqueue(family):
    """One row, once, at a tiny size; a row that fails would be left out with its reason."""
    table = FAMILIES[family](replace(TINY, systems=(ROWS[family],)))

    assert table.skipped == {}
    assert [len(results) for results in table.rounds.values()] == [1]
    assert "| chatqueue" in table.markdown()


def test_the_machine_and_the_versions_are_told():
    assert "celery 5" in machine.description()
    assert "cores" in machine.description()
