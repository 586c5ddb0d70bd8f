"""Files of this user stay closed to other users, whatever the shell's umask is."""

import os

import pytest

from guards.file_limit import TooFewFiles, fitting
from guards.private_files import is_open_to_others, make_private_folder, make_secret, read_secret, write_private


@pytest.fixture(autouse=True)
def open_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def test_a_folder_is_private_also_if_it_existed_open(tmp_path):
    """A folder of an earlier version is closed too."""
    old = tmp_path / "old"
    old.mkdir(mode=0o755)
    for folder in (old, tmp_path / "new" / "deep"):
        make_private_folder(folder)
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_secret_is_made_once_and_is_private(tmp_path):
    """Processes of one user find the same secret; a file that was opened by hand is closed again."""
    path = tmp_path / "secret"
    secret = make_secret(path)
    path.chmod(0o644)

    assert make_secret(path) == read_secret(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_secret(tmp_path / "none") == ""


def test_a_private_file_replaces_an_open_one(tmp_path):
    """The text is never in a file that others can read."""
    path = tmp_path / "file"
    path.write_text("old")
    assert is_open_to_others(path)
    write_private(path, "new")

    assert path.read_text() == "new"
    assert not is_open_to_others(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_slots_fit_into_the_limit_of_open_files(monkeypatch):
    """A worker that runs out of files fails the calls that it has taken."""
    monkeypatch.setattr("guards.file_limit.raise_file_limit", lambda: 300)

    assert fitting(500, 2) == 100
    assert fitting(50, 2) == 50
    assert fitting(10_000) == 200
    assert fitting(10_000, reserved=250) == 50


@pytest.mark.parametrize("limit", [0, 64, 101])
def test_a_process_without_files_for_one_slot_is_refused(monkeypatch, limit):
    """It would take jobs, and each would fail at its first file."""
    monkeypatch.setattr("guards.file_limit.raise_file_limit", lambda: limit)

    with pytest.raises(TooFewFiles, match=f"the limit of open files is {limit}, .* at least 102: raise it"):
        fitting(1, 2)
