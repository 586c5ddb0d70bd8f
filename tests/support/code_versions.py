"""Other versions of the code, each in a folder of its own, to run beside this one in the same virtual environment."""

import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Final

from tests.support.processes import PROJECT_ROOT

# The version that a deploy of this one replaces. Move it on with each release.
PREVIOUS_COMMIT: Final = "0b3420fd9763bef5a77f604a5c8ef5eb82ae9113"
_PACKAGES: Final = ("api", "documents", "guards", "gunicorn_ext", "jobs", "local", "openai_format", "tasks")
_FILES: Final = ("celeryconfig.py", "pyproject.toml", ".env")
NEW_FIELD: Final = "tone"  # of a chat, in the newer version
_FIELD_BEFORE: Final = "    documents: DocumentSelection | None = Field("


class VersionUnavailable(Exception):
    """The folder cannot be made. The message is the reason."""


def unpack_previous(folder: Path) -> Path:
    """The code of PREVIOUS_COMMIT. Raises VersionUnavailable where the history of git is absent."""
    git = shutil.which("git")
    if git is None:
        raise VersionUnavailable("git is not installed")
    archive = subprocess.run(
        [git, "archive", PREVIOUS_COMMIT], cwd=PROJECT_ROOT, capture_output=True, check=False, timeout=60
    )
    if archive.returncode:
        raise VersionUnavailable(f"the history of git lacks {PREVIOUS_COMMIT}: fetch it, or clone without --depth")
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def make_newer(folder: Path) -> Path:
    """A newer version: this code, and a chat has one more field, which its workers must know."""
    for name in _PACKAGES:
        shutil.copytree(PROJECT_ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in _FILES:
        shutil.copy(PROJECT_ROOT / name, folder / name)
    chat = folder / "jobs" / "kinds" / "chat.py"
    source = chat.read_text()
    assert source.count(_FIELD_BEFORE) == 1
    new_field = f'    {NEW_FIELD}: str | None = Field(default=None, description="The tone of the answer.")\n'
    chat.write_text(source.replace(_FIELD_BEFORE, new_field + _FIELD_BEFORE))
    return folder
