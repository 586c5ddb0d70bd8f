"""``python -m tests.chaos``: injects faults into the whole system and prints one table."""

import argparse
import os
import platform
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.chaos.plan import POOLS, Plan
from tests.chaos.run import run_fault, select_faults
from tests.chaos.table import ResultRow, format_row, header


def main() -> int:
    """The exit code: 0 when every target is met, 1 when one is missed."""
    args = _arguments()
    started_at = time.monotonic()
    _print(header())
    plans = [Plan(pool, args.seed, args.lease, args.scale) for pool in ([args.pool] if args.pool else POOLS)]
    rows = [(fault, plan) for plan in plans for fault in select_faults(args.only, plan.pool)]
    results: list[ResultRow] = []
    with ThreadPoolExecutor(args.at_once) as executor:
        for result in executor.map(lambda row: run_fault(row[0], row[1], args.logs), rows):
            results.append(result)
            _print(format_row(result))
    minutes = (time.monotonic() - started_at) / 60
    _print(f"\nseed {args.seed}, lease {args.lease:g} s, scale {args.scale:g}; {_machine()}; {minutes:.1f} minutes")
    return 0 if results and all(result.is_met for result in results) else 1


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument(
        "--only", type=lambda names: names.split(","), default=[], help="names of faults, separated by commas"
    )
    parser.add_argument("--pool", choices=POOLS, help="run one pool only (default: all)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lease", type=float, default=15, help="seconds (default: %(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the numbers of jobs and faults")
    parser.add_argument(
        "--at-once", type=int, default=3, help="rows that run concurrently (default: %(default)s); they mostly wait"
    )
    parser.add_argument("--logs", type=Path, help="folder for the logs of the workers")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
