"""Removes the password of a PDF, in a confined process, so that the password need not be kept.

caller   ──(stdin: one JSON line)──>         path, password and limits
caller   <──(stdout: a file)──               the PDF without its password
caller   <──(exit code)──                    see below
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from documents.errors import DamagedDocument, DocumentsNotInstalled, ReadingTimedOut, WrongPassword
from documents.reading.resource_limits import PACKAGES, limit_resources
from guards.confinement import confine, limit_processes_and_files, minimal_environment

# Exit codes.
_UNLOCKED, _NOTHING_TO_DO, _WRONG_PASSWORD, _NOT_INSTALLED, _FAILED = 0, 10, 11, 12, 13
_ERR_PASSWORD: Final = 4  # of PDFium
_REMOVE_SECURITY: Final = 3  # FPDF_REMOVE_SECURITY


@dataclass(frozen=True, slots=True)
class UnlockLimits:
    memory_bytes: int  # address space of the process
    seconds: float
    max_bytes: int  # of the file without its password


def remove_password(path: Path, password: str, limits: UnlockLimits) -> None:
    """Replace the PDF by one that opens without the password. A PDF that needs none is left as it is. Blocking.

    Raises WrongPassword, DamagedDocument, ReadingTimedOut and DocumentsNotInstalled.
    """
    target = path.with_suffix(".unlocked")
    try:
        code = _unlock(path, password, target, limits)
        if code == _UNLOCKED:
            target.replace(path)
    finally:
        target.unlink(missing_ok=True)
    if code == _WRONG_PASSWORD:
        raise WrongPassword("the password does not open the document")
    if code == _NOT_INSTALLED:
        raise DocumentsNotInstalled
    if code not in {_UNLOCKED, _NOTHING_TO_DO}:
        raise DamagedDocument("the document cannot be opened with its password: it is damaged, or too large")


def _unlock(path: Path, password: str, target: Path, limits: UnlockLimits) -> int:
    """The exit code of the process that writes the PDF to `target`."""
    request = {"path": str(path), "password": password, **asdict(limits)}
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
        try:
            return subprocess.run(
                (sys.executable, "-m", "documents.reading.unlocking"),
                input=json.dumps(request).encode() + b"\n",
                stdout=output,
                stderr=subprocess.DEVNULL,  # PDFium may quote the file
                env=minimal_environment(),
                timeout=limits.seconds,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            raise ReadingTimedOut("removing the password of the document takes longer than allowed") from None


def main() -> int:
    request = json.loads(sys.stdin.readline())
    confine([Path(request["path"])], PACKAGES)
    limit_resources(request["memory_bytes"], request["seconds"], max_written_bytes=request["max_bytes"])
    limit_processes_and_files()
    try:
        import pypdfium2  # an optional extra
    except ImportError:
        return _NOT_INSTALLED
    if not _is_locked(pypdfium2, request["path"]):
        return _NOTHING_TO_DO
    try:
        document = pypdfium2.PdfDocument(request["path"], password=request["password"])
        document.save(sys.stdout.buffer, flags=_REMOVE_SECURITY)
        sys.stdout.flush()
    except pypdfium2.PdfiumError as error:
        return _WRONG_PASSWORD if error.err_code == _ERR_PASSWORD else _FAILED
    return _UNLOCKED


def _is_locked(pypdfium2: Any, path: str) -> bool:
    """False for a file that has another fault too, which the ingest will report."""
    try:
        pypdfium2.PdfDocument(path).close()
    except pypdfium2.PdfiumError as error:
        return bool(error.err_code == _ERR_PASSWORD)
    return False


if __name__ == "__main__":
    sys.exit(main())
