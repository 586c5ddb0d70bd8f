"""A disk or an object store that refuses, told in the documents' own errors: who is to help is not the caller."""

import errno
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from documents.errors import ChunksUnavailable, FilesUnavailable, StorageFull

logger = logging.getLogger(__name__)

# Nothing can be written until somebody has made room, or set things right.
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM})
_LANCE: Final = "lance error:"  # how its errors begin, which are plain RuntimeErrors
_NUMBER: Final = re.compile(r"\(os error (\d+)\)")  # in the text of what is written in Rust


@contextmanager
def storage_faults(otherwise: type[FilesUnavailable | ChunksUnavailable]) -> Iterator[None]:
    """Raise StorageFull, or otherwise this, for what a disk or a store refuses inside; the log says which error it was.

    FileNotFoundError stays as it is: that something is not there is no fault of the store.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not str(error).startswith(_LANCE):
            raise
        number = _errno(error)
        said = error if isinstance(error, OSError) else "lance"  # host, bucket, path; Lance's text may quote a row
        logger.warning("storage_failed errno=%s error=%s", errno.errorcode.get(number, "-"), said)
        if number in _NO_ROOM:
            raise StorageFull from None
        raise otherwise from None


def _errno(error: Exception) -> int:
    """0 when nobody knows."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    said = _NUMBER.search(str(error))
    return int(said[1]) if said else 0
