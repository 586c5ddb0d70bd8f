"""`make up` brings all up in order; it stops in order, lets running jobs finish and leaves nothing behind."""

import http.client
import json
import os
import shlex
import signal
import subprocess
import sys
from contextlib import closing

import psutil
import pytest
import redis

from jobs.settings import PROJECT_ROOT
from jobs.storage import keys
from tests.support.launcher import ALL_UP, COMMAND, environment
from tests.support.processes import free_port, running
from tests.support.waiting import until

STUBBORN = """sh -c 'trap "" TERM; while :; do sleep 1; done'"""


@pytest.fixture
def env(tmp_path):
    return environment(tmp_path / "data")


@pytest.fixture
def procfile(tmp_path):
    """The launcher on stand-in processes, whose names have no readiness check."""

    def write(text):
        path = tmp_path / "Procfile"
        path.write_text(text)
        return [*COMMAND, "--procfile", str(path)]

    return write


def family_of(process):
    leader = psutil.Process(process.pid)
    return [leader, *leader.children(recursive=True)]


def is_gone(family):
    return not any(member.is_running() and member.status() != psutil.STATUS_ZOMBIE for member in family)


def test_a_process_that_ends_stops_all_and_is_told_with_its_last_lines(procfile, env):
    command = procfile("steady: sleep 60\nbrief: sh -c 'echo my last words; sleep 1; exit 7'\n")
    with running(command, ready=ALL_UP, env=env) as process:
        family = family_of(process)

        assert process.wait() == 1
        assert "brief ended with exit code 7. Its last lines:\nchatqueue |   my last words\n" in process.output
        until(lambda: is_gone(family))


def test_what_a_setting_points_elsewhere_is_not_started(procfile, env, redis_url):
    command = procfile("redis: echo started\nmodel: echo started\nsteady: sleep 60\n")
    elsewhere = {"REDIS_URL": redis_url, "OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}
    with running(command, ready=ALL_UP, env={**env, **elsewhere}) as process:
        process.send(signal.SIGTERM)

        assert process.wait() == 0
        assert "started" not in process.output


def test_two_embedded_servers_never_share_a_data_folder(env):
    command = [sys.executable, "-m", "local.redis_server"]
    with running(command, ready="Ready to accept", env=env):
        other = {**os.environ, **env, "CHATQUEUE_EMBEDDED_REDIS_PORT": str(free_port())}
        second = subprocess.run(
            command, cwd=PROJECT_ROOT, env=other, capture_output=True, text=True, timeout=20, check=False
        )

    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert "CHATQUEUE_DATA_DIR" in second.stderr


def test_a_second_interrupt_hurries_a_process_that_does_not_stop(procfile, env):
    with running(procfile(f"web2: {STUBBORN}\n"), ready=ALL_UP, env=env) as process:
        family = family_of(process)
        process.send(signal.SIGINT)
        process.wait_for("stopping")
        process.send(signal.SIGINT)

        assert process.wait(5) == 1
        assert "web2 did not stop in time and was killed" in process.output
        until(lambda: is_gone(family))


def test_kill_9_of_the_launcher_takes_grandchildren_along(procfile, env):
    with running(procfile("parent: sh -c 'sleep 300 & echo born; wait'\n"), ready="| born", env=env) as process:
        family = family_of(process)
        process.send(signal.SIGKILL)

        assert len(family) == 4  # launcher, guard, shell, its child
        until(lambda: is_gone(family))


def test_ctrl_c_at_the_terminal_ends_in_exit_code_0_whoever_started_the_launcher(procfile, env):
    """`make`, like the shell here, gets the terminal's Ctrl-C too unless the launcher takes the terminal over."""
    shell = f"{shlex.join(procfile('steady: sleep 60'))}; echo the code is $?"
    in_terminal = [sys.executable, "-c", "import pty, sys; pty.spawn(sys.argv[1:])", "sh", "-c", shell]
    with subprocess.Popen(
        in_terminal,
        cwd=PROJECT_ROOT,
        env={**os.environ, **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as terminal:
        next(line for line in terminal.stdout if ALL_UP in line)
        terminal.stdin.write("\x03")
        terminal.stdin.flush()

        assert "the code is 0" in terminal.stdout.read()


def call(env, method, path, body=None):
    """The status and the JSON answer of the web process."""
    connection = http.client.HTTPConnection("127.0.0.1", int(env["CHATQUEUE_WEB_PORT"]), timeout=30)
    with closing(connection):
        content = json.dumps(body) if body is not None else None
        connection.request(method, path, content, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def submit(env, message):
    status, answer = call(env, "POST", "/api/v1/chat/async", {"message": message})
    assert status == 202
    return answer["job_id"]


def state_of(env, job_id):
    with redis.Redis(port=int(env["CHATQUEUE_EMBEDDED_REDIS_PORT"]), decode_responses=True) as client:
        return client.hget(keys.job(job_id), "state")


def stored_state_of(env, job_id):
    """Read by an embedded server started alone on the same data folder."""
    with running([sys.executable, "-m", "local.redis_server"], ready="Ready to accept", env=env):
        return state_of(env, job_id)


def test_all_is_up_and_ctrl_c_lets_a_running_job_finish(env):
    with running(COMMAND, ready=ALL_UP, env=env) as process:
        family = family_of(process)
        status, answer = call(env, "POST", "/api/v1/chat/sync", {"message": "Hello!"})
        job_id = submit(env, "[[offline delay=3]] slow")
        until(lambda: state_of(env, job_id) == "in_progress")
        process.send(signal.SIGINT)

        assert process.wait(20) == 0
        assert status == 200
        assert "offline model" in answer["answer"]
        assert is_gone(family)
    assert stored_state_of(env, job_id) == "completed"


def test_kill_9_of_the_launcher_leaves_the_records_and_no_process(env):
    with running(COMMAND, ready=ALL_UP, env=env) as process:
        family = family_of(process)
        job_id = submit(env, "Hello!")
        until(lambda: state_of(env, job_id) == "completed")
        process.send(signal.SIGKILL)

        until(lambda: is_gone(family))
    assert stored_state_of(env, job_id) == "completed"
