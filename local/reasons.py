"""Why a connection failed, in the words of the operating system."""

import ssl


def system_reason(error: BaseException) -> str | None:
    """The system's error from which this one comes: `Connection refused`. None if there is none. Never a secret."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):  # its errno is not one of the system's
            return f"TLS: {cause.reason}"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return None
