"""Runs the benchmarks and prints one table: figure, ours, floor or peer, ratio, target.

python -m bench [NAME…] [--write]      --write puts the table into docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import os
import platform
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import psutil

from bench.rows import Row

NAMES = (
    "heartbeats_accept",
    "heartbeats_ingest",
    "rooms_list",
    "inventory",
    "imports_exports",
    "rollout_gate",
    "rollouts",
    "bombs",
    "signal_quality",
    "signal_latency",
)
PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- begin: {} -->", "<!-- end: {} -->"
HEAD = "| Figure | Ours | Floor or peer | Ratio | Target | Holds |\n|---|---|---|---|---|---|\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="default: all")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    for name in given.names or NAMES:
        print(f"{name} …", flush=True)
        table = HEAD + "".join(_line(row) for row in import_module(f"bench.{name}").measure())
        print(table, flush=True)
        if given.write:
            _write(name, f"{_machine()}\n\n{table}")


def _line(row: Row) -> str:
    ratio = "" if row.ratio is None else f"{row.ratio:g}"
    holds = {None: "", True: "yes", False: "**no**"}[row.holds]
    return f"| {row.figure} | {row.ours} | {row.peer} | {ratio} | {row.target} | {holds} |\n"


def _machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    load = os.getloadavg()[0]
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {psutil.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}, "
        f"load at the end {load:.1f}. CPU time per unit, minimum of three interleaved rounds."
    )


def _write(name: str, text: str) -> None:
    """Replace the part of the page that belongs to `name`; the prose around it stays."""
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN.format(name))
    _, _, after = rest.partition(END.format(name))
    if not rest:
        raise SystemExit(f"docs/benchmarks.md has no place for {name}")
    PAGE.write_text(f"{before}{BEGIN.format(name)}\n{text}\n{END.format(name)}{after}")


if __name__ == "__main__":
    main()
