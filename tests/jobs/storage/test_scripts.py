"""The names in a script's header, the locals that Lua gets for them, and the order in which Python sends them agree."""

import json
import re
from typing import Any

import pytest

from jobs import queries
from jobs.api_keys import KeyRecord, Role
from jobs.documents import DocumentRecord, NewDocument
from jobs.errors import InternalError
from jobs.metrics import Addition
from jobs.models import Lease
from jobs.provider_states import target_states
from jobs.results import JobError
from jobs.states import State
from jobs.storage import transitions
from jobs.storage.commands import script_command
from jobs.storage.rights import missing_rights
from jobs.storage.scripts import Parameters, load_script, script_names
from jobs.storage.transitions import access
from jobs.storage.worker_reports import report_worker
from jobs.tenant import Tenant
from tests.jobs.conftest import ANSWER, USAGE
from tests.support.workers import worker_status

JOB_ID = "job_" + "1" * 32
LEASE = Lease(job_id=JOB_ID, queue="q", token=1, attempt=1, log_length=1)
KEY = KeyRecord(key_id="k", sha256="0", tenant=Tenant("t"), role=Role.MEMBER, holder="k")
DOCUMENT = {
    "document_id": "doc_1",
    "tenant": "t",
    "job_id": JOB_ID,
    "filename": "f",
    "kind": "text",
    "size": 1,
    "sha256": "0",
}


def built_commands(jobs):
    """One command of each script, as the transitions and queries build it."""
    template, settings = jobs.message_template, jobs.settings
    pending = transitions.PendingEvents(1, ("{}", "{}"))
    document = DocumentRecord(**DOCUMENT, state="ingesting", seq=1, created_at_ms=1)
    return [
        transitions.create(jobs.new_job(key="k"), template, settings),
        transitions.mark_answered(Tenant("t"), "k", JOB_ID),
        transitions.claim(JOB_ID, "c", "w", template, settings),
        transitions.renew("w", [LEASE], settings),
        transitions.append(LEASE, pending, USAGE),
        transitions.finish(LEASE, ANSWER, State.COMPLETED, settings, pending),
        transitions.release(LEASE, None, 0, template),
        transitions.cancel(JOB_ID, "q", settings),
        transitions.delete(JOB_ID, None),
        transitions.republish(JOB_ID, template),
        transitions.undelivered(template, "normal", None, 1),
        transitions.add_counts(Addition("p", 1, {"tokens": 1})),
        transitions.become_leader("w", 1),
        transitions.note_primary("run id"),
        transitions.ghosts({JOB_ID: "cq:job:1"}),
        report_worker(worker_status(), template, settings),
        transitions.dispatch("q"),
        transitions.audit_queue("q", [JOB_ID]),
        transitions.audit_sizes([Tenant("t")]),
        transitions.note_fault("main/m", "quota", None, job_id=JOB_ID),
        transitions.note_output("main/m", JOB_ID, "q"),
        transitions.observe_limits(
            "main/m", requests_limit=1, requests_remaining=1, tokens_limit=1, tokens_remaining=1
        ),
        transitions.configure_targets({}, {}, {}),
        transitions.begin_call("m", 1),
        transitions.end_call(transitions.CallTurn(is_open=True), 1, has_succeeded=True),
        access.add_key(KEY, None),
        access.end_key("k"),
        access.use_key("k", None),
        queries.queue_position(JOB_ID, "q"),
        queries.pool_stats(),
        target_states(),
        missing_rights("web", settings),
        transitions.document.add(NewDocument(**DOCUMENT), 1),
        transitions.document.reassign("doc_1", JOB_ID, JOB_ID),
        transitions.document.edit("doc_1", "b.pdf", ("red",)),
        transitions.document.ingest_again("doc_1", JOB_ID),
        transitions.document.start("doc_1", JOB_ID),
        transitions.document.mark_failed("doc_1", JOB_ID, JobError(code="c", message="m")),
        transitions.document.remove(document, "", JOB_ID),
        transitions.document.purge(document),
        transitions.document.forget("doc_1", Tenant("t")),
    ]


def sample_values(parameters: Parameters, *, is_optional_given: bool = True):
    """A value for each name that occurs nowhere else."""
    values: dict[str, Any] = {name: f"{parameters.table} {name}" for name in parameters.single}
    values |= {name: f"{parameters.table} {name}" if is_optional_given else None for name in parameters.optional}
    return values | {
        name: [f"{parameters.table} {name} {i}" for i in range(place + 2)]
        for place, name in enumerate(parameters.lists)
    }


def code_of(script) -> str:
    """The Lua code of a script without its bindings and comments."""
    uncommented = re.sub(r"--.*", "", script.source)
    return re.sub(r"^local \w+ = (slice\()?(KEYS|ARGV)\b.*", "", uncommented, flags=re.MULTILINE)


def test_python_builds_a_command_of_every_script(jobs):
    """Each transition passes exactly the names of its script's header; otherwise building the command raises."""
    assert sorted(command.script.name for command in built_commands(jobs)) == script_names()


@pytest.mark.parametrize("name", script_names())
@pytest.mark.parametrize("table", ["keys", "args"])
def test_a_missing_extra_or_misspelt_name_is_refused(name, table):
    """A wrong name fails where the command is built, before anything is sent, and the error contains the name."""
    script = load_script(name)
    right = {"keys": sample_values(script.keys), "args": sample_values(script.args)}
    if not right[table]:
        pytest.skip(f"{name} takes none")
    first = next(iter(right[table]))
    rest = {other: value for other, value in right[table].items() if other != first}
    script_command(name, **right, read=bool)

    for wrong in (rest, {**right[table], "typo": 1}, {**rest, "typo": 1}):
        with pytest.raises(InternalError, match="typo" if "typo" in wrong else first):
            script_command(name, **(right | {table: wrong}), read=bool)


@pytest.mark.parametrize("is_optional_given", [True, False])
@pytest.mark.parametrize("name", script_names())
def test_lua_binds_each_name_to_the_value_that_python_sent_for_it(redis_client, name, is_optional_given):
    """No value may reach the script under another name, whatever the order of the values in the call."""
    script = load_script(name)
    keys = sample_values(script.keys, is_optional_given=is_optional_given)
    args = sample_values(script.args)
    command = script_command(name, dict(reversed(keys.items())), dict(reversed(args.items())), read=bool)
    names = [*keys, *args]
    slice_piece = load_script("renew").source.split("local leases")[0]
    bindings = [*script.keys.bindings(), *script.args.bindings()]
    bound = ", ".join(f"['{bound_name}'] = {bound_name} or cjson.null" for bound_name in names)
    source = "\n".join([slice_piece, *bindings, f"return cjson.encode({{{bound}}})"])

    assert json.loads(redis_client.eval(source, *command.arguments[2:])) == {**keys, **args}


@pytest.mark.parametrize("name", script_names())
def test_a_script_uses_every_name_and_reads_keys_and_argv_only_through_names(name):
    """A number in place of a name would define the order a second time."""
    script = load_script(name)
    code = code_of(script)

    assert re.findall(r"\b(KEYS|ARGV)\b", code) == []
    assert [bound for bound in script.keys.names | script.args.names if not re.search(rf"\b{bound}\b", code)] == []


@pytest.mark.parametrize("name", script_names())
def test_no_name_is_bound_twice_in_a_script(name):
    """A local of the same name would hide the key or the argument."""
    script = load_script(name)
    code = code_of(script)
    top_level = re.findall(r"^local function (\w+)", code, re.MULTILINE)
    for names in re.findall(r"^local (?!function)([\w, ]+?) *(?:=|$)", code, re.MULTILINE):
        top_level += names.split(", ")
    bound = [*sorted(script.keys.names), *sorted(script.args.names), *top_level]

    assert sorted(bound) == sorted(set(bound))


@pytest.mark.parametrize(
    "entries",
    [
        ["events...", "token"],
        ["dedup?", "token"],
        ["dedup?", "events..."],
        ["one...", "two...", "three..."],
        ["token", "token"],
    ],
)
def test_a_malformed_header_is_refused(entries):
    """Lists and an optional value must come last, and each name must be unique, or the bindings would be wrong."""
    header = "-- KEYS\n" + "".join(f"--   {entry}\n" for entry in entries)

    with pytest.raises(InternalError, match="some_script"):
        Parameters.read("some_script", "KEYS", [header])


def test_a_list_longer_than_luas_stack_reaches_the_script(jobs):
    """A worker may hold more leases than unpack could return, which is about 8,000."""
    leases = [LEASE] * 9_000

    assert jobs.store.run(transitions.renew("w", leases, jobs.settings)) == {JOB_ID}
