"""Rules of the architecture that import-linter cannot check: side effects of imports, Redis keys, Lua, errors."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib

import pytest

from jobs import errors
from jobs.states import State
from jobs.storage import keys
from jobs.storage.scripts import script_names
from jobs.tenant import Tenant
from jobs.version import VERSION
from tests.support.processes import PROJECT_ROOT

PACKAGES = ("api", "cli", "documents", "guards", "gunicorn_ext", "jobs", "local", "openai_format", "tasks")


def sources():
    """The paths of all modules of the product."""
    return [path for package in PACKAGES for path in sorted((PROJECT_ROOT / package).rglob("*.py"))]


def run_python(code: str) -> str:
    """The output of a new interpreter that runs this code."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True, timeout=60
    ).stdout


@pytest.mark.slow
def test_the_web_process_never_loads_the_sdk():
    """Importing the SDK takes half a second and 40 MB, and no web request needs it."""
    loaded = run_python("import sys, api, tasks.submit; print(sorted(sys.modules))")

    assert "'openai'" not in loaded
    assert "'tasks.run_job'" not in loaded


@pytest.mark.slow
def test_the_web_process_never_loads_lancedb():
    """Not even for an upload: LanceDB starts threads that do not work with gevent."""
    loaded = run_python("""
import io, os, sys, tempfile
from pathlib import Path
from jobs.settings import Settings
import api, api.http.upload_parsing
from documents.factory import open_files
with tempfile.TemporaryDirectory() as folder:
    files = open_files(Settings(data_dir=Path(folder)))
    with files.receive(io.BytesIO(b"text"), 10) as upload:
        files.save(upload, "doc_" + "0" * 32)
print(sorted(sys.modules))
""")

    assert [name for name in ("lancedb", "pyarrow", "numpy", "pypdfium2") if f"'{name}'" in loaded] == []


def test_importing_documents_loads_neither_lancedb_nor_the_pdf_parser():
    """LanceDB takes 1.6 s and 130 MB, and its threads do not survive a fork: it is loaded at its first use."""
    loaded = run_python(
        "import sys, documents.ingesting, documents.factory, documents.files; print(sorted(sys.modules))"
    )

    assert [name for name in ("lancedb", "pyarrow", "numpy", "pypdfium2") if f"'{name}'" in loaded] == []


@pytest.mark.slow
@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_opens_nothing_and_reads_no_environment(package):
    """Everything is built in factories: an import must have no side effect."""
    code = f"""
import socket
def refuse(*args, **kwargs):
    raise SystemExit("opened a connection")
socket.socket.connect = refuse
import jobs.settings
jobs.settings.Settings.__init__ = lambda self, **values: (_ for _ in ()).throw(SystemExit("read the settings"))
import {package}
print("quiet")
"""
    assert run_python(code).strip() == "quiet"


def test_redis_keys_are_spelt_in_one_file_only():
    """A key that is spelt in two files will be misspelt in one of them."""
    offenders = [
        f"{path.relative_to(PROJECT_ROOT)}:{node.lineno}"
        for path in sources()
        if path.name != "keys.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.match(r"cq:|celery-task-meta", node.value)
    ]
    assert offenders == []


def test_every_key_is_in_the_table():
    """The table at the top of keys.py lists every key that the module builds."""
    keys_made = {
        re.sub(r"job_x|tenant_x|digest_x|queue_x|queued|123", "", key)
        for key in (
            keys.job("job_x"),
            keys.request("job_x"),
            keys.events("job_x"),
            keys.attempts("job_x"),
            keys.result("job_x"),
            keys.messages("queue_x"),
            keys.claimed("queue_x"),
            keys.minute(123),
            keys.document("job_x"),
            keys.documents(Tenant("tenant_x")),
            keys.document_by_hash(Tenant("tenant_x"), "digest_x"),
            keys.tenant_index(Tenant("tenant_x"), State.QUEUED),
            *(value for name, value in vars(keys).items() if name.isupper() and str(value).startswith("cq:")),
        )
    }
    table = re.sub(r"\{\w+\}", "", keys.__doc__ or "")
    assert [key for key in keys_made if key not in table] == []


def test_every_lua_script_is_a_file_with_a_header():
    """One transition per file. The header states purpose, replies and whether it is safe to send again."""
    for name in script_names():
        header = (PROJECT_ROOT / "jobs" / "storage" / "lua" / f"{name}.lua").read_text()
        assert header.startswith(f"-- {name}: "), name
        for section in ("-- returns ", "-- Safe to send again"):
            assert f"\n{section}" in header, (name, section)
    assert [path for path in sources() if "redis.call" in path.read_text()] == []


def test_no_lua_file_counts_keys_or_arguments():
    """A script's header is the one place where their order is written; jobs/storage/scripts.py binds the names."""
    raw = re.compile(r"^(?!\s*--).*\b(KEYS|ARGV)\b", re.MULTILINE)

    assert [path.name for path in (PROJECT_ROOT / "jobs").rglob("*.lua") if raw.search(path.read_text())] == []


def test_no_lua_file_names_a_kind_of_job():
    """A new kind of job must not need a change in a script: what depends on the kind is passed as an argument."""
    kinds = re.compile(r"\b(chat|completion|response|embeddings|ingest|removal)\b *[='\"]")

    assert [path.name for path in (PROJECT_ROOT / "jobs").rglob("*.lua") if kinds.search(path.read_text())] == []


def test_no_code_uses_keys_or_scan():
    """The cost of KEYS and SCAN grows with the number of jobs."""
    scan_calls = re.compile(r"""["'](KEYS|SCAN|HSCAN|ZSCAN|SSCAN)["']|scan_iter|\.keys\(["']""")
    found = [path.name for path in sources() if scan_calls.search(path.read_text())]

    assert found == ["scripts.py"]  # KEYS there is Lua's table, not the command


def error_classes() -> dict[tuple[str, str], str]:
    """Name and module of each subclass of ChatqueueError in the sources, with the name of its base."""
    bases = {
        (node.name, ".".join(path.relative_to(PROJECT_ROOT).with_suffix("").parts)): node.bases[0].id
        for path in sources()
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and node.bases and isinstance(node.bases[0], ast.Name)
    }
    found = {"ChatqueueError"}
    while new := {name for (name, _), base in bases.items() if base in found} - found:
        found |= new
    return {key: base for key, base in bases.items() if key[0] in found}


def drawn_errors() -> dict[tuple[str, str], tuple[str, str | None, str | None]]:
    """The errors drawn in the docstring of jobs/errors.py: name and module, with base, status and code."""
    drawn, ancestors = {}, []
    for branches, name, status, code, module in re.findall(
        r"^    ([│├└─ ]*)(\w+)(?: +(\d{3}) (\w+))?.*?(?:\((api[\w.]+)\))?$", errors.__doc__ or "", re.MULTILINE
    ):
        depth = len(branches) // 4
        ancestors[depth:] = [name]
        drawn[name, module or "jobs.errors"] = (ancestors[depth - 1] if depth else "Exception", status, code)
    return drawn


def test_every_error_is_in_the_tree():
    """The tree in jobs/errors.py is complete and true: base, module, status and code of each error."""
    drawn = drawn_errors()

    assert {key: base for key, (base, _, _) in drawn.items()} == error_classes()
    for (name, module), (_, status, code) in drawn.items():
        error = getattr(importlib.import_module(module), name)
        assert status in {"", str(int(error.http_status))}, name
        assert code in {"", "set", error.code}, name


def test_the_version_is_that_of_the_package():
    """Workers report it, so a wrong one would mislead during a deploy."""
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == VERSION
