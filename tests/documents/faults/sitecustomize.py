"""Kills the process at the point named by CRASH_AT, like a power cut. Must come first on the PYTHONPATH.

``save``    after an upload's file is saved, before its task is created
``commit``  after a document's chunks are committed; before the commit, the process is frozen until the file
            ``continue`` exists in CRASH_FOLDER
"""

import asyncio
import os
import signal
import threading
import time
from pathlib import Path

from documents.chunks.table import ChunkTable
from documents.chunks.writer import ChunkWriter
from documents.files import Files

_save = Files.save


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
    commit = threading.Thread(target=lambda: asyncio.run(_commit(self._url, *args)))
    commit.start()
    commit.join()
    _die()


async def _commit(url, *args):
    await (await ChunkTable.open(url)).replace(*args)


if os.environ.get("CRASH_AT") == "save":
    Files.save = _save_and_die
elif os.environ.get("CRASH_AT") == "commit":
    ChunkWriter.replace = _freeze_commit_and_die
