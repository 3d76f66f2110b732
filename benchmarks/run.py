"""The benchmark suite: every figure a ratio inside one run, medians of interleaved rounds.

    python benchmarks/run.py [--quick] [--only GROUP] [--write-docs] [--keep FOLDER]

Prints a Markdown table; `--write-docs` also puts it into docs/performance.md. `--keep` names a
folder for the made-up jobs (2 GB), to be used again. Exits 1 if a limit was missed, but not with
`--quick`: limits are for the full size.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import store
from suite import asking, checking, cold, floor, reruns, resources, spreading
from suite.rows import Row, render_rows, unmeasured
from suite.setting import Setting, warm_up
from suite.timing import Failed

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
_START, _END = "<!-- measured: start -->", "<!-- measured: end -->"
_PACKAGES = ("orjson", "msgspec", "jsonschema", "jsonschema_rs", "duckdb", "pyarrow", "distributed")


def main() -> int:
    """Measure, print, and give the exit code."""
    given = _arguments()
    groups: dict[str, Callable[[Setting], list[Row]]] = {
        "cold": cold.measure,
        "floor": floor.measure,
        "checking": checking.measure,
        "reruns": reruns.measure,
        "resources": resources.measure,
        "spreading": spreading.measure,
        "asking": partial(asking.measure, peer=given.peer),
        "store": store.measure,
    }
    rows: list[Row] = []
    with nullcontext(given.keep) if given.keep else tempfile.TemporaryDirectory() as place:
        setting = Setting(Path(place), quick=given.quick, rounds=3 if given.quick else given.rounds)
        setting.folder.mkdir(parents=True, exist_ok=True)
        facts = [_machine(), f"load before {os.getloadavg()[0]:.1f}"]
        warm_up(setting)
        for name, measure in groups.items():
            if given.only and name not in given.only:
                continue
            print(f"{name} ...", file=sys.stderr, flush=True)
            try:
                found = measure(setting)
            except Failed as failure:
                found = [unmeasured(name, failure.reason)]
            print(render_rows(found), file=sys.stderr, flush=True)
            rows += found
        facts.append(f"after {os.getloadavg()[0]:.1f}")
    text = f"{', '.join(facts)}.\n\n{render_rows(rows)}\n"
    print(text)
    if given.write_docs:
        write_page(PAGE, text)
    missed = [row for row in rows if row.verdict == "**missed**"]
    print(f"{len(missed)} of {sum(row.limit is not None for row in rows)} limits missed")
    return 1 if missed and not given.quick else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    groups = ("cold", "floor", "checking", "reruns", "resources", "spreading", "asking", "store")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the trials, 3 rounds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=groups, action="append", help="may be repeated")
    parser.add_argument("--keep", type=Path, help="where the made-up jobs stay")
    parser.add_argument("--write-docs", action="store_true", help=f"put the table into {PAGE.name}")
    peer = shutil.which("agent-diagnostics")
    parser.add_argument("--peer", default=peer, help="the command agent-diagnostics")
    return parser.parse_args()


def _machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    about = f"{cores} cores ({_processor()}), {memory:.0f} GiB, {platform.system()}"
    return f"{about}, {platform.python_implementation()} {platform.python_version()}; {packages}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def write_page(page: Path, text: str) -> None:
    """Put the table between the marks of the page."""
    before, _, rest = page.read_text().partition(_START)
    _, _, after = rest.partition(_END)
    aside = page.with_suffix(".part")
    aside.write_text(f"{before}{_START}\n{text}{_END}{after}")
    aside.replace(page)


if __name__ == "__main__":
    sys.exit(main())
