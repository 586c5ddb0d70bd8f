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
_STORAGE_FULL_ERRNOS: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}
)
_LANCE_PREFIX: Final = "lance error:"  # how its errors begin, which are plain RuntimeErrors
_OS_ERROR_NUMBER: Final = re.compile(r"\(os error (\d+)\)")  # in the text of what is written in Rust


@contextmanager
def translate_storage_errors(default_error: type[FilesUnavailable | ChunksUnavailable]) -> Iterator[None]:
    """Raise StorageFull, or otherwise this, for what a disk or a store refuses inside; the log says which error it was.

    FileNotFoundError stays as it is: that something is not there is no fault of the store.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not str(error).startswith(_LANCE_PREFIX):
            raise
        number = _errno(error)
        safe_text = error if isinstance(error, OSError) else "lance"  # host, bucket, path; Lance's text may quote a row
        logger.warning("storage_failed errno=%s error=%s", errno.errorcode.get(number, "-"), safe_text)
        if number in _STORAGE_FULL_ERRNOS:
            raise StorageFull from None
        raise default_error from None


def _errno(error: Exception) -> int:
    """0 when nobody knows."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    match = _OS_ERROR_NUMBER.search(str(error))
    return int(match[1]) if match else 0
