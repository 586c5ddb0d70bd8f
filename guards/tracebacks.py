"""Where an exception was raised, without its message: a message may quote a request."""

import traceback
from pathlib import Path
from typing import Final

_MAX_FRAMES: Final = 6


def traceback_location(error: BaseException | None) -> str:
    """The innermost frames of the traceback as file, line and function, without any data."""
    frames = traceback.extract_tb(error.__traceback__ if error else None)[-_MAX_FRAMES:]
    return " > ".join(f"{Path(frame.filename).name}:{frame.lineno}:{frame.name}" for frame in frames)
