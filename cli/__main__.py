"""The entry point of `chatqueue` and `python -m cli`. This file runs on any Python 3, to report one that is too old."""

import sys

_OLDEST = (3, 11)


def run() -> None:
    if sys.version_info < _OLDEST:
        needed, found = (".".join(map(str, version[:2])) for version in (_OLDEST, sys.version_info))
        sys.exit("chatqueue: needs Python %s or newer, and this is %s: install it for another Python" % (needed, found))  # noqa: UP031
    from cli.main import chatqueue

    chatqueue(prog_name="chatqueue")


if __name__ == "__main__":
    run()
