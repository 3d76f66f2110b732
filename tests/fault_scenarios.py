"""Commands that write files, with what they find and what stands in the place of their output."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aggregated import EXAMPLES
from evaltrace.cli import main
from evaltrace.files import remove_folder

START = 1760783400.0
Steps = tuple[Callable[[], int], Callable[[], int]]
"""What is prepared, and what is run."""


@dataclass(frozen=True)
class Scenario:
    """A command, and what is there before; both run in the folder that is theirs."""

    name: str
    prepare: Callable[[], int]
    run: Callable[[], int]
    again: Callable[[], int] | None = None
    """What is run after a fault, to come to the new state; else the same again."""
    forgiving: bool = False
    """The program goes on where its recording fails."""
    leaves: tuple[str, ...] = ()
    """Beginnings of names that are no leftovers."""
    shape: Callable[[bytes], Any] = bytes
    """What of a recording is compared: not all of it is the same every time."""
    by_trace: bool = False
    """Each trace comes or goes whole, and alone: some may have where others did not."""

    def may_leave(self, name: str) -> bool:
        """Tell whether a name that was not there before is no leftover."""
        return name.startswith(self.leaves)

    def is_whole(self, after: dict[str, Any], new: dict[str, Any]) -> bool:
        """Tell whether the new state is reached."""
        return _shown(after, self.leaves) == _shown(new, self.leaves)


def _shown(state: dict[str, Any], leaves: tuple[str, ...]) -> dict[str, Any]:
    return {
        name: value
        for name, value in state.items()
        if ".evaltrace-" not in name and "/.new-" not in name and not name.startswith(leaves)
    }


def call(*arguments: str) -> int:
    """Call the command line; give its exit code."""
    try:
        main(list(arguments), standalone_mode=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    return 0


def _jobs() -> None:
    for job, task in (("baseline", "gateway"), ("with-codesearch", "gateway")):
        source = EXAMPLES / job
        target = Path("jobs", job)
        target.mkdir(parents=True)
        for path in sorted(source.iterdir()):
            if path.is_file():
                shutil.copy(path, target)
            elif path.name.startswith((task, "importer")):
                shutil.copytree(path, target / path.name)


_QUIET = ("--no-cache", "-q", "--workers", "1", "--prices", "none")


def _aggregated(output: str, *more: str, before: bool = True) -> Steps:
    def prepare() -> int:
        _jobs()
        if not before:
            return 0
        return call("aggregate", "jobs/baseline", "-o", output, *_QUIET)

    def run() -> int:
        return call("aggregate", "jobs", "-o", output, *(more or _QUIET))

    return prepare, run


def _compared() -> Steps:
    forms = ("md", "json", "html", "xml", "txt")
    outputs = [argument for form in forms for argument in ("-o", f"reports/r.{form}")]

    def prepare() -> int:
        _jobs()
        for job in ("baseline", "with-codesearch"):
            call("aggregate", f"jobs/{job}", "-o", f"inputs/{job}.json", *_QUIET)
        return call("compare", "inputs/baseline.json", "inputs/baseline.json", "-q", *outputs)

    def run() -> int:
        return call(
            "compare", "inputs/baseline.json", "inputs/with-codesearch.json", "-q", *outputs
        )

    return prepare, run


def _store_with(*jobs: str) -> Callable[[], int]:
    def prepare() -> int:
        _jobs()
        for job in ("baseline", "with-codesearch"):
            call("aggregate", f"jobs/{job}", "-o", f"inputs/{job}.json", *_QUIET)
        for job in jobs:
            call("store", "add", f"inputs/{job}.json", "--store", "runs.db", "-q")
        return 0

    return prepare


def _store(*arguments: str) -> Callable[[], int]:
    return lambda: call("store", *arguments, "--store", "runs.db")


def _record(store: str | None = None) -> int:
    import evaltrace

    place: dict[str, Any] = {"folder": "rec", "store": store}
    with evaltrace.recording("demo", "fix", clock=lambda: START, **place) as run:
        with run.step("developer", "Write"):
            run.event("file_modified", {"file": "shop.py"})
        for number in range(3):
            run.event("x", {"number": number})
    return 0


def _events_of(content: bytes) -> Any:
    return sorted(event["type"] for event in json.loads(content)["events"])


def _begin_recording() -> int:
    child = os.fork()
    if child == 0:
        import evaltrace

        run = evaltrace.recording("demo", "fix", folder="rec", clock=lambda: START)
        run.event("x", {"number": 1})
        os._exit(0)
    os.waitpid(child, 0)
    return 0


def _redact_file() -> Steps:
    def prepare() -> int:
        _jobs()
        call("aggregate", "jobs", "-o", "inputs/all.json", *_QUIET)
        Path("shared.json").write_text("before\n")
        return 0

    return prepare, lambda: call("redact", "inputs/all.json", "-o", "shared.json")


def _a_job() -> int:
    source = next((EXAMPLES / "baseline").glob("gateway*"))
    shutil.copytree(source, Path("jobs", source.name))
    shutil.copy(EXAMPLES / "baseline" / "config.json", "jobs")
    return 0


def _make() -> list[Scenario]:
    kept, other = (*_QUIET, "--archive"), "inputs/with-codesearch.json"
    cached = ("--cache", "cache", "-q", "--workers", "1", "--prices", "none")
    workers = ("--no-cache", "-q", "--workers", "2", "--prices", "none")
    parts = ("--no-cache", "-q", "--workers", "2", "--parts", "parts", "--prices", "none")

    def recover() -> int:
        return call("record", "recover", "rec")

    return [
        Scenario("aggregate", *_aggregated("traces.json")),
        Scenario("aggregate_new", *_aggregated("new/deep/traces.json", before=False)),
        Scenario("aggregate_jsonl", *_aggregated("traces.jsonl")),
        Scenario(
            "aggregate_parquet", *_aggregated("traces.parquet"), leaves=("traces.parquet/.lock",)
        ),
        Scenario(
            "aggregate_parquet_new",
            *_aggregated("traces.parquet", before=False),
            leaves=("traces.parquet/.lock",),
        ),
        Scenario("aggregate_archive", *_aggregated("traces.json", *kept), leaves=("history/",)),
        Scenario("aggregate_cache", *_aggregated("traces.json", *cached)),
        Scenario("aggregate_workers", *_aggregated("traces.json", *workers)),
        Scenario("aggregate_parts", *_aggregated("traces.json", *parts)),
        Scenario("compare", *_compared()),
        Scenario("store_add", _store_with("baseline"), _store("add", other), by_trace=True),
        Scenario("store_new", _store_with(), _store("add", "inputs/baseline.json"), by_trace=True),
        Scenario("store_export", _store_with("baseline"), _store("export", "-o", "out.json")),
        Scenario(
            "store_backup",
            _store_with("baseline"),
            _store("backup", "copy.db"),
        ),
        Scenario(
            "store_prune",
            _store_with("baseline", "with-codesearch"),
            _store("prune", "--days", "0", "--benchmark", "--yes"),
            by_trace=True,
        ),
        Scenario("record", lambda: 0, _record, recover, True, ("rec/.journals/",), _events_of),
        Scenario(
            "record_store",
            _store_with("baseline"),
            lambda: _record("runs.db"),
            recover,
            True,
            ("rec/.journals/",),
            _events_of,
        ),
        Scenario(
            "record_recover", _begin_recording, recover, None, True, ("rec/.journals/",), _events_of
        ),
        Scenario("redact_copy", _a_job, lambda: call("redact", "jobs", "-o", "shared")),
        Scenario("redact_file", *_redact_file()),
    ]


def _write_carelessly() -> int:
    with Path("out.txt").open("w") as file:
        for number in range(3):
            file.write(f"{number}\n")
            file.flush()
    return 0


def _before() -> int:
    Path("out.txt").write_text("before\n")
    return 0


CARELESS = Scenario("careless", _before, _write_carelessly)
"""A program as it must not be: faults of it are to be noticed."""


def _fill_folder() -> int:
    for number in range(3):
        Path("folder", f"{number}").mkdir(parents=True)
        Path("folder", f"{number}", "file").touch()
    return 0


def _remove_folder() -> int:
    remove_folder("folder")
    return 0


REMOVAL = Scenario("removal", _fill_folder, _remove_folder)
"""The end of each command that has a folder for a while: an interrupt is to leave none of it."""

SCENARIOS = {scenario.name: scenario for scenario in _make()}
