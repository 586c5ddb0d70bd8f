"""Kills the process at the point named by CRASH_AT, like a power cut. Must come first on the PYTHONPATH.

``save``    after an upload's file is saved, before its task is created
``commit``  after a document's chunks are committed; before the commit, the process is frozen until the file
            ``continue`` exists in CRASH_FOLDER
``step``    after CRASH_AFTER_STEPS steps of a summary are in the job's log, with others under way
"""

import asyncio
import os
import signal
import threading
import time
from pathlib import Path

from documents.chunks.table import ChunkTable, always
from documents.files import Files
from tasks.handlers.event_writer import EventWriter

_save, _replace, _write = Files.save, ChunkTable.replace, EventWriter._write


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def _save_and_die(self, *args):
    _save(self, *args)
    _die()


async def _freeze_commit_and_die(self, *args):
    """While frozen, nothing else runs in the process, so it does not notice a cancel."""
    folder = Path(os.environ["CRASH_FOLDER"])
    (folder / "frozen").touch()
    while not (folder / "continue").exists():
        time.sleep(0.01)  # noqa: ASYNC251  # blocking the loop is the fault
    self._creation_turn = always  # its own needs the frozen loop
    commit = threading.Thread(target=lambda: asyncio.run(_replace(self, *args)))
    commit.start()
    commit.join()
    _die()


async def _write_and_die(self):
    await _write(self)
    written = self._deltas[: self._written]
    if sum('"section"' in delta.event for delta in written) >= int(os.environ["CRASH_AFTER_STEPS"]):
        _die()


if os.environ.get("CRASH_AT") == "step":
    EventWriter._write = _write_and_die
elif os.environ.get("CRASH_AT") == "save":
    Files.save = _save_and_die
elif os.environ.get("CRASH_AT") == "commit":
    ChunkTable.replace = _freeze_commit_and_die
