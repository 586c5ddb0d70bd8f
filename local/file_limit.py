import contextlib
import resource


def raise_file_limit() -> None:
    """Raise the soft limit of open files to the hard limit. Children inherit it; each open call or stream is a file."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS reports "unlimited" and refuses to set it
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
