"""Files and folders that other users of the machine cannot read."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

_UMASK: Final = 0o077
_FOLDER_MODE: Final = 0o700
_OTHERS: Final = 0o077
_SECRET_BYTES: Final = 32


def keep_new_files_private() -> None:
    """Let this process and its children create files for their own user only."""
    os.umask(_UMASK)


def make_private_folder(folder: Path) -> None:
    """Create the folder, or close an existing one of this user to others. Raises OSError if it cannot be created."""
    folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    if is_open_to_others(folder):
        with suppress(PermissionError):  # another user's folder, such as a mounted volume
            folder.chmod(_FOLDER_MODE)


def is_open_to_others(path: Path) -> bool:
    """True if the path exists and its mode gives other users any right."""
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & _OTHERS)
    except OSError:
        return False


def read_secret(path: Path) -> str:
    """The secret in the file; "" if there is none, or if this user cannot read it."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def make_secret(path: Path) -> str:
    """The secret in the file, which is created with a random one unless it has one. Raises OSError."""
    if secret := read_secret(path):
        path.chmod(0o600)
        return secret
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    write_private(path, f"{secret}\n")
    return secret


def write_private(path: Path, text: str) -> None:
    """Replace the file by one that only this user can read. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
