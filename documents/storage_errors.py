"""Translates errors of a disk, an object store or Lance, which an operator must fix, into errors of documents/."""

import errno
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from documents.errors import ChunksUnavailable, FilesUnavailable, StorageFull

logger = logging.getLogger(__name__)

# Nothing can be written until an operator frees space or fixes permissions.
_STORAGE_FULL_ERRNOS: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}
)
_LANCE_PREFIX: Final = "lance error:"  # Lance raises plain RuntimeErrors with this prefix
_OS_ERROR_NUMBER: Final = re.compile(r"\(os error (\d+)\)")  # in the text of errors from Rust


@contextmanager
def translate_storage_errors(default_error: type[FilesUnavailable | ChunksUnavailable]) -> Iterator[None]:
    """Raise StorageFull or `default_error` for an error of a disk or store inside the block, and log the original.

    FileNotFoundError passes unchanged: a missing file is not a storage error.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not str(error).startswith(_LANCE_PREFIX):
            raise
        number = _errno(error)
        safe_text = (
            error if isinstance(error, OSError) else "lance"
        )  # an OSError names host, bucket or path; Lance may quote a row
        logger.warning("storage_failed errno=%s error=%s", errno.errorcode.get(number, "-"), safe_text)
        if number in _STORAGE_FULL_ERRNOS:
            raise StorageFull from None
        raise default_error from None


def _errno(error: Exception) -> int:
    """The error number; 0 if it is unknown."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    match = _OS_ERROR_NUMBER.search(str(error))
    return int(match[1]) if match else 0
