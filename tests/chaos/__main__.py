"""``python -m tests.chaos``: put the whole system under faults and print one table."""

import argparse
import os
import platform
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.chaos.plan import POOLS, Plan
from tests.chaos.run import chosen, run_fault
from tests.chaos.table import ResultRow, header, row


def main() -> int:
    """0 when every target is met, 1 when one is missed."""
    args = _arguments()
    began_at = time.monotonic()
    _print(header())
    plans = [Plan(pool, args.seed, args.lease, args.scale) for pool in ([args.pool] if args.pool else POOLS)]
    rows = [(fault, plan) for plan in plans for fault in chosen(args.only, plan.pool)]
    lines: list[ResultRow] = []
    with ThreadPoolExecutor(args.at_once) as executor:
        for line in executor.map(lambda pair: run_fault(*pair, args.logs), rows):
            lines.append(line)
            _print(row(line))
    minutes = (time.monotonic() - began_at) / 60
    _print(f"\nseed {args.seed}, lease {args.lease:g} s, scale {args.scale:g}; {_machine()}; {minutes:.1f} minutes")
    return 0 if lines and all(line.is_met for line in lines) else 1


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--only", type=lambda names: names.split(","), default=[], help="names of faults, by comma")
    parser.add_argument("--pool", choices=POOLS, help="one pool; otherwise every pool with its rows")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lease", type=float, default=15, help="seconds (default: %(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies jobs and faults")
    parser.add_argument("--at-once", type=int, default=3, help="rows that run beside each other: they mostly wait")
    parser.add_argument("--logs", type=Path, help="a folder for the workers' logs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
