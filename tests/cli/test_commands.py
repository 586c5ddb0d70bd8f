"""The client commands against a running service: results, exit codes, pipes, and broken connections."""

import os
import pty
import re
import sys
from contextlib import suppress

import pytest

from cli.client import parse_url
from jobs.folders import PROJECT_ROOT
from tests.cli.conftest import Cli
from tests.support.answering_server import answering_server

UNKNOWN = "job_" + "0" * 32


def test_a_chat_prints_the_answer_and_nothing_else(cli):
    """A script takes the output as it is."""
    assert cli.run("chat", '[[offline say="forty-two"]]') == ("forty-two\n", "")
    assert cli.run("chat", "-", stdin='[[offline say="from a pipe"]]')[0] == "from a pipe\n"
    assert cli.run("chat", stdin='[[offline say="also from a pipe"]]')[0] == "also from a pipe\n"


def test_the_options_of_a_chat_reach_the_model(cli):
    """An option that is dropped would be noticed by nobody."""
    job = cli.json("chat", "[[offline tokens=50]]", "--model", "m-7", "--max-output-tokens", "3", code=1)

    assert (job["model"], job["status"], job["finish_reason"]) == ("m-7", "incomplete", "length")


def test_a_failed_chat_ends_with_1_and_says_why(cli):
    """The message has the job's id and its error code, and no traceback."""
    output, error = cli.run("chat", "[[offline status=400]]", code=1)

    assert output.strip() == ""
    assert " is failed: " in error
    assert "(provider_rejected_request)" in error
    assert error.startswith("chatqueue: job_")
    assert error.count("\n") == 1


def test_the_text_of_a_failed_attempt_is_not_printed(cli):
    """The first attempt is cut after three words: a pipe gets the answer of the second one only."""
    output, _ = cli.run("chat", "[[offline tokens=5 cut=3 times=1 key=void]]")

    assert output == "w0 w1 w2 w3 w4\n"


def test_an_earlier_answer_is_shown_again_by_its_id(cli, stack):
    """After a closed terminal the id is enough. A job of the OpenAI API has the same commands."""
    job_id = cli.json("chat", '[[offline say="still here"]]')["job_id"]
    response = stack.client().responses.create(model="m", input='[[offline say="by the client"]]')
    completion = stack.client().chat.completions.create(
        model="m", messages=[{"role": "user", "content": '[[offline say="a completion"]]'}]
    )

    assert cli.run("chat", "--resume", job_id)[0] == "still here\n"
    assert cli.run("tail", job_id)[0] == "still here\n"
    assert cli.run("tail", response.id)[0] == "by the client\n"
    assert cli.run("tail", completion.id)[0] == "a completion\n"
    types = [line.split('"type": "')[1].partition('"')[0] for line in cli.lines("tail", job_id, "--json")]
    assert types[-3:] == ["in_progress", "delta", "completed"]


def test_jobs_are_listed_cancelled_and_retried(cli):
    """The commands of an operator, each with the lines that a script reads."""
    failed = cli.lines("chat", "[[offline status=400]]", "--json", code=1)[0].split('"job_id": "')[1][:36]
    header, *rows = [line.split("\t") for line in cli.lines("jobs", "--status", "failed")]
    assert header[:3] == ["job", "status", "kind"]
    assert failed in [row[0] for row in rows]
    assert {row[1] for row in rows} == {"failed"}

    assert cli.lines("cancel", failed)[1].split("\t")[:2] == [failed, "failed"]
    again = cli.lines("retry", failed)[1].split("\t")
    assert again[0] == failed
    assert cli.json("jobs", again[1])["tasks"][0]["retry_of"] == failed
    assert cli.json("retry", "--status", "failed", "--error-code", "no_such_code")["matched"] == 0
    assert cli.json("retry", "--status", "failed", "--dry-run")["retried"] == []


def test_stats_show_workers_and_counts(cli):
    """In a pipe, and as the JSON of the API."""
    lines = [line.split("\t") for line in cli.lines("stats")]

    assert ["queued", "0"] in lines
    assert len(cli.json("stats")["workers"]) == 1


def test_documents_are_added_asked_listed_and_deleted(cli, tmp_path):
    """An upload returns when its document can be asked. Texts of others cannot control the terminal."""
    file = tmp_path / "leave.txt"
    file.write_text("The annual leave is 28 days.\n")
    document = cli.json("documents", "add", str(file))["documents"][0]
    assert document["status"] == "ready"

    answer = cli.run("documents", "ask", "How many days of annual leave?")[0]
    assert "28 days. [1]\n" in answer
    assert answer.endswith("[1] leave.txt, page 1: The annual leave is 28 days.\n")
    assert "28 days." in cli.run("chat", "--attach", str(file), "How many days of annual leave?")[0]
    row = cli.lines("documents", "list", "--filename", "LEAVE")[1].split("\t")
    assert row == [document["document_id"], "ready", "text", "1", "leave.txt", ""]
    cli.run("documents", "delete", document["document_id"])
    assert cli.json("documents", "list", "--status", "ready")["documents"] == []


def test_a_document_that_cannot_be_read_ends_with_1(cli, tmp_path):
    """The first line says which file, and why."""
    empty, binary = tmp_path / "empty.txt", tmp_path / "binary.txt"
    empty.touch()
    binary.write_bytes(bytes(range(256)) * 8)

    for file in (empty, binary):
        error = cli.run("documents", "add", str(file), code=1)[1]
        assert error.startswith("chatqueue: ")
        assert "Traceback" not in error
    assert "does not exist" in cli.run("documents", "add", str(tmp_path / "absent"), code=2)[1]


@pytest.mark.parametrize(
    "args",
    [
        ("tail", UNKNOWN),
        ("chat", "--resume", "nonsense"),
        ("cancel", UNKNOWN),
        ("retry", "x"),
        ("jobs", UNKNOWN),
        ("documents", "delete", "x"),
    ],
)
def test_an_unknown_id_ends_with_4(cli, args):
    """So a script can tell it from a server that is away."""
    assert "chatqueue: " in cli.run(*args, code=4)[1]


@pytest.mark.parametrize("args", [("chat", "hello"), ("tail", UNKNOWN), ("jobs",), ("stats",), ("documents", "list")])
def test_a_server_that_is_away_ends_with_3(nowhere, args, monkeypatch):
    """The message has the address and the remedy."""
    monkeypatch.setattr("cli.client._RESUME_WAITS_SECONDS", (0.01,))
    error = nowhere.run(*args, code=3)[1]

    assert "cannot reach the server at http://127.0.0.1:" in error
    assert "(Connection refused): start it with `chatqueue up`, or correct --url\n" in error


@pytest.mark.parametrize(
    "reply",
    [
        (200, {"Content-Type": "text/html"}, b"<html>hello</html>"),
        (200, {"Content-Type": "application/json"}, b"{}"),
        (404, {}, b"not here"),
        (302, {"Location": "http://127.0.0.1:9/"}, b""),
        (401, {"Content-Type": "application/json"}, b'{"error": "who are you?"}'),
    ],
)
def test_another_program_at_the_address_is_recognised(reply):
    """A wrong port often leads to another web server."""
    with answering_server() as server:
        server.reply = (reply[0], {"Content-Length": str(len(reply[2])), **reply[1]}, reply[2])
        assert "is not chatqueue" in Cli(server.url).run("stats", code=3)[1]


def test_a_stream_that_is_cut_goes_on_at_the_next_event(monkeypatch):
    """A proxy or a deploy cuts it. Nothing is printed twice, and nothing is left out."""
    monkeypatch.setattr("cli.client._RESUME_WAITS_SECONDS", (0.01, 0.01, 0.01))
    events = [
        b'data: {"type": "in_progress", "sequence_number": 0, "attempt": 1}\n\n',
        b'data: {"type": "delta", "sequence_number": 1, "text": "one "}\n\n',
        b'data: {"type": "delta", "sequence_number": 2, "text": "two"}\n\n',
        b'data: {"type": "completed", "sequence_number": 3}\n\n',
    ]
    with answering_server() as server:
        server.reply_to = lambda path: (200, {"X-Request-Id": "r"}, events[int(path.partition("after=")[2] or -1) + 1])
        assert Cli(server.url).run("tail", UNKNOWN)[0] == "one two\n"
    assert len(server.received) == 4


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("localhost:5000", "http://localhost:5000"),
        ("http://h:1/", "http://h:1"),
        ("http://h:1/v1/", "http://h:1"),
        ("https://h/llm/api/v1", "https://h/llm"),
        ("http://[::1]:5000", "http://[::1]:5000"),
    ],
)
def test_the_address_may_be_given_in_any_usual_form(text, url):
    """The base_url of a client works as well."""
    assert parse_url(text) == url


@pytest.mark.parametrize(
    "args",
    [
        ("--url", "ftp://h", "stats"),
        ("--url", "http://h:99999", "stats"),
        ("--url", "http://", "stats"),
        ("retry",),
        ("retry", "a", "--status", "failed"),
        ("jobs", "a", "--status", "failed"),
        ("jobs", "--status", "finished"),
        ("chat", "--resume", "a", "hello"),
        ("chat", ""),
        ("chat", "-"),
        ("no-such-command",),
    ],
)
def test_wrong_usage_ends_with_2(nowhere, args):
    """Before any call."""
    assert "Usage: " in nowhere.run(*args, code=2, stdin="")[1]


def in_a_terminal(args, *, until=None, typed=""):
    """What the program shows in a terminal, and its exit code. ``typed`` is typed once ``until`` is shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(PROJECT_ROOT)
        os.execv(sys.executable, [sys.executable, "-m", "cli", *args])  # noqa: S606
    shown = ""
    with suppress(OSError):  # the end of the program
        while part := os.read(terminal, 4096):
            shown += part.decode(errors="replace")
            if until and until in shown:
                os.write(terminal, typed.encode())
                until = None
    os.close(terminal)
    return shown, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_an_answer_cannot_control_the_terminal(stack):
    """A model, or a document, could hide what it writes, or change the window."""
    shown, code = in_a_terminal(["--url", stack.url, "chat", '[[offline say="safe \x1b]0;title\x07\x9b31m\u202eend"]]'])

    assert code == 0
    assert "safe ]0;title31mend" in shown


def test_ctrl_c_leaves_the_job_running_and_names_it(stack, cli):
    """Long answers are not lost with the terminal."""
    shown, code = in_a_terminal(
        ["--url", stack.url, "chat", "[[offline tokens=200 interval=0.1]]"], until="w1 ", typed="\x03"
    )

    assert code == 130
    job_id = re.search(r"(job_\w+) goes on: `chatqueue tail (job_\w+)` shows it", shown)[1]
    assert "Traceback" not in shown
    assert cli.lines("cancel", job_id)[1].split("\t")[1] == "cancelled"
    assert f"{job_id} is cancelled" in cli.run("tail", job_id, code=1)[1]
