"""The wheel, installed into an environment outside the checkout, works there and writes only where it should."""

import ensurepip
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from jobs.folders import PROJECT_ROOT
from tests.support.launcher import ALL_UP, environment
from tests.support.processes import running
from tests.test_architecture import PACKAGES

pytestmark = [pytest.mark.processes, pytest.mark.slow]

# Files of a folder from which a user may start the program: none of them is ours, although they have our names.
FOREIGN = ("api.py", "tasks.py", "jobs.py", "local.py", "cli.py", "celeryconfig.py", "flowerconfig.py")


def run(*args, **options) -> str:
    done = subprocess.run(
        [str(arg) for arg in args], capture_output=True, text=True, timeout=120, check=False, **options
    )
    assert done.returncode == 0, f"{args}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def pip() -> tuple[str, ...]:
    """The pip that Python brings, run from its archive: this environment has none."""
    archive = next((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"), None)
    if archive is None:
        pytest.skip("this Python brings no pip")
    return sys.executable, f"{archive}/pip", "--disable-pip-version-check", "--quiet"


@pytest.fixture(scope="module")
def wheel(pip, tmp_path_factory) -> Path:
    """The wheel, built from a copy of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    source, tools = folder / "source", folder / "tools"
    for name in PACKAGES:
        shutil.copytree(PROJECT_ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "celeryconfig.py", "flowerconfig.py"):
        shutil.copy(PROJECT_ROOT / name, source / name)
    install = [*pip, "install", "--no-compile", "--target", str(tools), "setuptools>=80"]
    if subprocess.run(install, capture_output=True, timeout=120, check=False).returncode:
        pytest.skip("no package index that has setuptools can be reached")
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    run(sys.executable, "-c", build, folder, cwd=source, env={**os.environ, "PYTHONPATH": str(tools)})
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(pip, wheel, tmp_path_factory) -> Path:
    """The program `chatqueue` in a new environment, which takes the dependencies from this one."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    run(*pip, "--python", folder / "bin/python", "install", "--no-deps", "--no-index", "--no-compile", wheel)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    for program in ("celery", "gunicorn"):
        (folder / "bin" / program).write_text(
            f"#!{folder}/bin/python\n"
            + "".join(Path(sys.executable).with_name(program).read_text().splitlines(keepends=True)[1:])
        )
        (folder / "bin" / program).chmod(0o755)
    return folder / "bin/chatqueue"


def test_the_wheel_has_every_module_and_data_file(wheel):
    """A package or a Lua file that is missing would be noticed only after an installation."""
    expected = {
        str(path.relative_to(PROJECT_ROOT))
        for package in PACKAGES
        for path in (PROJECT_ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    contents = set(zipfile.ZipFile(wheel).namelist())

    assert sorted(expected - contents) == []
    assert {"celeryconfig.py", "flowerconfig.py"} <= contents
    assert not [name for name in contents if name.startswith(("tests/", "bench/", "build/"))]


def test_an_installed_chatqueue_answers_and_writes_only_where_the_platform_expects_it(installed, tmp_path):
    """Started in a folder whose files have the names of our modules, by a user with an empty home directory."""
    home, folder = tmp_path / "home", tmp_path / "folder"
    for path in (home, folder):
        path.mkdir()
    for name in FOREIGN:
        (folder / name).write_text("raise SystemExit('a file of the user was imported')\n")
    (folder / "leave.txt").write_text("The annual leave is 28 days.\n")
    (home / ".config/chatqueue").mkdir(parents=True)
    (home / ".config/chatqueue/settings.env").write_text("CHATQUEUE_CHAT_MODEL=gpt-of-the-file\n")
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "CHATQUEUE_", "PYTHON"))}
    env = {**kept, **environment(""), "HOME": str(home), "TMPDIR": str(tmp_path / "folder"), "CHATQUEUE_DATA_DIR": ""}

    with running([str(installed), "up"], ready=ALL_UP, env=env, folder=folder, seconds=90) as process:
        answer = run(
            installed, "chat", "--json", "--attach", "leave.txt", "How many days of leave?", env=env, cwd=folder
        )
        process.send(signal.SIGINT)

        assert process.wait(20) == 0
    assert "28 days. [1]" in answer
    assert "gpt-of-the-file" in answer
    written = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    data = home / ".local/share/chatqueue"
    assert {path for path in written if not path.is_relative_to(data)} == set()
    assert data / "redis-password" in written
