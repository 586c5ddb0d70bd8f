"""A running service, and the program `chatqueue` as its client."""

import json

import pytest
from click.testing import CliRunner

from cli.main import chatqueue
from tests.support.processes import free_port
from tests.support.stack import serving


@pytest.fixture(scope="module")
def stack(processes, redis_url, model_url, tmp_path_factory):
    """A web process and a worker."""
    data = str(tmp_path_factory.mktemp("data"))
    with serving(redis_url, model_url, CHATQUEUE_DATA_DIR=data) as stack, stack.worker():
        yield stack


class Cli:
    """Runs commands as in a pipe: standard output and error are no terminal."""

    def __init__(self, url):
        self._url = url

    def run(self, *args, code=0, stdin=None):
        """What the command prints on standard output, and on standard error. Asserts its exit code."""
        done = CliRunner().invoke(chatqueue, ["--url", self._url, *args], input=stdin)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert done.exit_code == code, done.output
        assert "\x1b" not in done.output
        return done.stdout, done.stderr

    def lines(self, *args, **options):
        return self.run(*args, **options)[0].splitlines()

    def json(self, *args, **options):
        return json.loads(self.run(*args, "--json", **options)[0])


@pytest.fixture
def cli(stack):
    return Cli(stack.url)


@pytest.fixture
def nowhere():
    """The program, for a server that does not exist."""
    return Cli(f"http://127.0.0.1:{free_port()}")
