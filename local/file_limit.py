import contextlib
import resource


def raise_file_limit() -> None:
    """As many open files as this process may have; its children inherit it. Each open call or stream is a file."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS calls it unlimited and refuses to set that
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
