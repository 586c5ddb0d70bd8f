"""``python -m bench``: measures chatqueue and its peers in turn and prints Markdown tables."""

import argparse
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import fields, replace

from bench import machine
from bench.plan import QUICK, Plan
from bench.rows import FAMILIES
from guards.file_limit import raise_file_limit


def main() -> int:
    """Print one table after the other. Returns 0; a row that fails is reported in its table."""
    plan = _plan()
    raise_file_limit()
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM)
    )  # raises, so that every started process is stopped
    started_at = time.monotonic()
    _print(machine.description())
    for name, table in FAMILIES.items():
        if not plan.only or name in plan.only:
            _print(table(plan).markdown())
    _print(f"{plan}\n\n{(time.monotonic() - started_at) / 60:.1f} minutes")
    return 0


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def _plan() -> Plan:
    """The default or the quick numbers, overridden by the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small numbers and one round")
    for item in fields(Plan):
        flag = "--" + item.name.replace("_", "-")
        parser.add_argument(flag, type=_argument_parser(item.default), help=f"default: {item.default or 'all'}")
    overrides = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    is_quick = overrides.pop("quick")
    plan = replace(Plan(), **{**(QUICK if is_quick else {}), **overrides})
    unknown = set(plan.only) - set(FAMILIES)
    if unknown:
        parser.error(f"--only accepts {', '.join(FAMILIES)}")
    return plan


def _argument_parser(default: object) -> Callable[[str], object]:
    """The converter of an argument, chosen by the type of its default. Tuples are separated by commas."""
    if not isinstance(default, tuple):
        return type(default)
    kind = type(default[0]) if default else str
    return lambda text: tuple(kind(part.replace("_", "")) if kind is int else part for part in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
