"""`make up` starts and stops everything in order, lets running jobs finish and leaves no process behind."""

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

from jobs.folders import PROJECT_ROOT
from jobs.settings import Settings
from jobs.storage import keys
from tests.support.launcher import ALL_UP, COMMAND, environment
from tests.support.processes import free_port, running
from tests.support.waiting import until

STUBBORN = """sh -c 'trap "" TERM; while :; do sleep 1; done'"""


@pytest.fixture
def env(tmp_path, processes):
    return environment(tmp_path / "data")


@pytest.fixture
def procfile(tmp_path):
    """Writes a Procfile of stand-in processes, which have no readiness check; returns the command that runs it."""

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


def test_a_process_that_ends_stops_all_and_its_last_output_is_printed(procfile, env):
    """A crash must not leave half a system running, and its cause must be visible without searching the logs."""
    command = procfile("steady: sleep 60\nbrief: sh -c 'echo my last words; sleep 1; exit 7'\n")
    with running(command, ready=ALL_UP, env=env) as process:
        family = family_of(process)

        assert process.wait() == 1
        assert "brief exited with code 7. Last lines of its output:\nchatqueue |   my last words\n" in process.output
        until(lambda: is_gone(family))


def test_the_embedded_redis_and_model_are_not_started_when_settings_name_others(procfile, env, redis_url):
    """REDIS_URL and OPENAI_BASE_URL replace the local servers, which must then not take their ports."""
    command = procfile("redis: echo started\nmodel: echo started\nsteady: sleep 60\n")
    elsewhere = {"REDIS_URL": redis_url, "OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}
    with running(command, ready=ALL_UP, env={**env, **elsewhere}) as process:
        process.send(signal.SIGTERM)

        assert process.wait() == 0
        assert "started" not in process.output


def test_two_embedded_servers_never_share_a_data_folder(env):
    """Two servers that append to one file would corrupt it; the second one must refuse to start."""
    command = [sys.executable, "-m", "local.redis_server"]
    with running(command, ready="Ready to accept", env=env):
        other = {**os.environ, **env, "CHATQUEUE_EMBEDDED_REDIS_PORT": str(free_port())}
        second = subprocess.run(
            command, cwd=PROJECT_ROOT, env=other, capture_output=True, text=True, timeout=20, check=False
        )

    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert "CHATQUEUE_DATA_DIR" in second.stderr


def test_a_second_interrupt_kills_a_process_that_does_not_stop(procfile, env):
    """A user who presses Ctrl-C twice gets the terminal back, and nothing keeps running."""
    with running(procfile(f"web2: {STUBBORN}\n"), ready=ALL_UP, env=env) as process:
        family = family_of(process)
        process.send(signal.SIGINT)
        process.wait_for("stopping")
        process.send(signal.SIGINT)

        assert process.wait(5) == 1
        assert "web2 did not stop in time and was killed" in process.output
        until(lambda: is_gone(family))


def test_kill_9_of_the_launcher_ends_grandchildren_too(procfile, env):
    """No handler runs in a launcher killed with -9; the reaper must still end the whole process group."""
    with running(procfile("parent: sh -c 'sleep 300 & echo born; wait'\n"), ready="| born", env=env) as process:
        family = family_of(process)
        process.send(signal.SIGKILL)

        assert len(family) == 4  # launcher, reaper, shell, child of the shell
        until(lambda: is_gone(family))


def test_ctrl_c_at_the_terminal_ends_in_exit_code_0_whatever_started_the_launcher(procfile, env):
    """`make`, like the shell here, also receives the terminal's Ctrl-C unless the launcher takes the foreground."""
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
    """The status and the JSON body of the web process's response."""
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


def embedded_url(env):
    """The address of the embedded server, with the password from its file."""
    settings = Settings(
        embedded_redis_port=int(env["CHATQUEUE_EMBEDDED_REDIS_PORT"]),
        data_dir=env["CHATQUEUE_DATA_DIR"],
        redis_url=None,
    )
    return settings.record_url.get_secret_value()


def state_of(env, job_id):
    with redis.Redis.from_url(embedded_url(env), decode_responses=True) as client:
        return client.hget(keys.job(job_id), "state")


def stored_state_of(env, job_id):
    """The stored state, read by an embedded server started alone on the same data folder."""
    with running([sys.executable, "-m", "local.redis_server"], ready="Ready to accept", env=env):
        return state_of(env, job_id)


def test_the_system_answers_and_ctrl_c_lets_a_running_job_finish(env):
    """A stop loses no running job, and its outcome is on disk for the next start."""
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


def pid_of(process, program):
    """The main process of the program, such as `worker`, among the launcher's children; None while there is none."""
    children = psutil.Process(process.pid).children()
    return next((child.pid for child in children if program in " ".join(child.cmdline())), None)


def test_a_worker_and_flower_that_end_are_started_again_and_nothing_else_ends(env):
    """Requests are accepted meanwhile: the end of one worker must not end the API. The log says what happened."""
    with running(COMMAND, ready=ALL_UP, env=env) as process:
        others = [pid_of(process, program) for program in ("gunicorn", "valkey-server", "local.offline_model")]
        for name in ("worker", "flower"):
            os.kill(pid_of(process, f"tasks {name}"), signal.SIGKILL)
            process.wait_for(f"{name} exited with SIGKILL; it is started again in 1 s")
        job_id = submit(env, "Hello!")
        until(lambda: state_of(env, job_id) == "completed", 30)
        until(lambda: pid_of(process, "tasks flower"), 10)

        assert [pid_of(process, program) for program in ("gunicorn", "valkey-server", "local.offline_model")] == others
        process.send(signal.SIGINT)
        assert process.wait(20) == 0


def test_kill_9_of_the_launcher_keeps_the_records_and_leaves_no_process(env):
    """A finished job survives an abrupt end, because every write goes to the append-only file."""
    with running(COMMAND, ready=ALL_UP, env=env) as process:
        family = family_of(process)
        job_id = submit(env, "Hello!")
        until(lambda: state_of(env, job_id) == "completed")
        process.send(signal.SIGKILL)

        until(lambda: is_gone(family))
    assert stored_state_of(env, job_id) == "completed"
