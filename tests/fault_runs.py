"""Runs commands whose files fail, and judges what they leave.

    python tests/fault_runs.py SCENARIO... [--kinds KIND,...] [--sample N] [--seed N]
                               [--operations NAME...] [--part I/N] [--without FILE] [--cold]

A line of JSON for each run: scenario, kind, at, operation, code, faults. A process of its own,
as it forks for each run. Runs that FILE has are left out, so that what was stopped can go on.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from evaltrace.files import read_traces
from failing_files import ERRORS, KINDS, Fault, files_below, folders_below
from fault_programs import copied, forked, scratch_folder, warm_up
from fault_scenarios import CARELESS, REMOVAL, SCENARIOS, Scenario

ALL = {**SCENARIOS, CARELESS.name: CARELESS, REMOVAL.name: REMOVAL}
_INTERRUPTS = {"SIGTERM": 143, "SIGINT": 130}
_LEFT_ASIDE = ("jobs/", "inputs/", "home/", "cache/", "parts/")
_LIMITS = 40
State = dict[str, Any]


@dataclass
class Run:
    """One run with one fault, and what was wrong with what it left."""

    scenario: str
    kind: str
    at: int
    level: str = "operation"
    """What fails: an operation of Python, a call of the system, or the process (kill)."""
    operation: str = ""
    code: int = 0
    faults: list[str] = field(default_factory=list)
    said: str = ""


@dataclass(frozen=True)
class Stage:
    """A scenario that is prepared, and what it does where nothing fails."""

    scenario: Scenario
    template: Path
    old: State
    new: State
    folders: frozenset[str]
    """Those that are there before or after."""
    operations: list[str]
    largest: int
    """Bytes of the largest file that is written."""

    def points(self, kinds: list[str], names: list[str]) -> list[tuple[str, int]]:
        """List all faults that it can meet: the kind, and at which operation (limit: size).

        `names` are those of operations; without one, all are meant.
        """
        end = self.largest + 4096
        sizes = range(1000, end, end // _LIMITS)
        numbers = [
            at
            for at, operation in enumerate(self.operations, start=1)
            if not names or operation.split(" ")[0] in names
        ]
        return [(kind, at) for kind in kinds for at in (sizes if kind == "limit" else numbers)]


def set_up(scenario: Scenario, place: Path, *, warm: bool = True) -> Stage:
    """Prepare a scenario in a new folder, and run it there once without a fault."""
    template = place / "template"
    template.mkdir()
    prepared = forked(template, scenario.prepare, Fault(str(template)))
    assert prepared.code == 0, prepared.said
    (template / "home").mkdir(exist_ok=True)
    (template / "tmp").mkdir(exist_ok=True)
    if warm:
        warm_up(copied(template, place / "warm"), scenario.run)
    clean = copied(template, place / "clean")
    ended = forked(clean, scenario.run, Fault(str(clean)))
    old, new = state_of(scenario, template), state_of(scenario, clean)
    assert ended.code == 0, ended.said
    assert old != new, scenario.name
    sizes = [path.stat().st_size for path in clean.rglob("*") if path.is_file()]
    folders = frozenset(folders_below(template)) | frozenset(folders_below(clean))
    return Stage(scenario, template, old, new, folders, ended.operations, max(sizes, default=0))


def run_once(stage: Stage, kind: str, at: int) -> Run:
    """Run a scenario with one fault, and once more without; judge what is left."""
    scenario, run = stage.scenario, Run(stage.scenario.name, kind, at)
    folder = copied(stage.template, stage.template.with_name("run"))
    try:
        ended = forked(folder, scenario.run, Fault(str(folder), kind, at))
        if kind != "limit":
            if len(ended.operations) < at:  # another order of writes: nothing failed
                return run
            run.operation = ended.operations[at - 1]
        run.code, run.said = ended.code, ended.said
        judge(stage, folder, run)
        return run
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def judge(stage: Stage, folder: Path, run: Run) -> None:
    """Write down what is wrong with what a run left and said, and with the run after it."""
    run.faults = list(faults_of(stage, folder, run))
    run.faults += _faults_of_next(stage, folder, run)


def _faults_of_next(stage: Stage, folder: Path, run: Run) -> Iterator[str]:
    """Run again, without a fault: what was left is no hindrance."""
    scenario = stage.scenario
    whole = scenario.is_whole(state_of(scenario, folder), stage.new)
    if run.faults or run.kind in ERRORS or whole:
        return
    again = forked(folder, scenario.again or scenario.run, Fault(str(folder)))
    after = state_of(scenario, folder)
    whole = scenario.forgiving or scenario.is_whole(after, stage.new)
    if (again.code and not scenario.forgiving) or not whole:
        yield f"the next run: {again.code} {again.said} {sorted(after)}"


def faults_of(stage: Stage, folder: Path, run: Run) -> Iterator[str]:
    """Give what is wrong with what a run left and said."""
    scenario, old, new = stage.scenario, stage.old, stage.new
    stopped = run.kind.startswith("SIG")
    left = _left(stage, folder, run)
    if left:
        yield f"left: {left}"
    after = state_of(scenario, folder)
    torn = [
        name
        for name in {**old, **new}
        if not _is_one_of(after.get(name), old.get(name), new.get(name), scenario.by_trace)
        and not scenario.may_leave(name)
    ]
    if torn and not (stopped and scenario.forgiving):
        yield f"torn: {torn}"
    if "Traceback" in run.said:
        yield "traceback"
    if run.code == 0 and not scenario.is_whole(after, new) and not scenario.forgiving:
        yield "success, and not the new state"
    expected = {"SIGKILL": -signal.SIGKILL, **_INTERRUPTS}.get(run.kind.rstrip("+"), 1)
    if run.code not in (0, expected, -signal.SIGTERM if scenario.forgiving else 0):
        yield f"exit code {run.code}"
    if run.code == 1 and not ("Error: " in run.said or ": " in run.said):
        yield "no message"


def _is_one_of(after: Any, old: Any, new: Any, by_trace: bool) -> bool:
    if after in (old, new) or not by_trace:
        return after in (old, new)
    found, before, wanted = (set(traces or ()) for traces in (after, old, new))
    return before & wanted <= found <= before | wanted


def _left(stage: Stage, folder: Path, run: Run) -> list[str]:
    """List what a run left that it may not leave."""
    known = {*stage.old, *stage.new, *stage.folders}
    left = [
        name
        for name in [*files_below(folder), *folders_below(folder)]
        if name not in known
        and not f"{name}/".startswith(_LEFT_ASIDE)
        and not _of_database(name)
        and not stage.scenario.may_leave(name)
    ]
    stopped = run.kind.startswith("SIG")
    killed = run.kind == "SIGKILL" or (stopped and stage.scenario.forgiving)
    may_stay = killed or run.kind == "gone" or (not stopped and _is_removal(run.operation))
    hidden = all("/." in f"/{name}" or name.startswith("tmp/") for name in left)
    return [] if hidden and may_stay else left


def _is_removal(operation: str) -> bool:
    return operation.split(" ", maxsplit=1)[0] in {"unlink", "rmdir", "remove"}


def _of_database(name: str) -> bool:
    return name.endswith((".db", ".db-wal", ".db-shm", ".db-journal"))


def state_of(scenario: Scenario, folder: Path) -> State:
    """Give what a folder holds: files by their content, stores by what can be read of them."""
    found: State = {}
    for path in sorted(folder.rglob("*.db")):
        traces = (
            []
            if path.name.startswith(".")
            else [scenario.shape(msgspec.json.encode(trace)) for trace in read_traces(path)]
        )
        if traces:  # an empty store is as good as none
            found[str(path.relative_to(folder))] = sorted(traces)
    for name, content in files_below(folder).items():
        if not f"{name}/".startswith(_LEFT_ASIDE) and not _of_database(name):
            found[name] = scenario.shape(content) if _is_trace(name) else content
    return found


def _is_trace(name: str) -> bool:
    return Path(name).name.startswith("trace_") and name.endswith(".json")


def runs_of(scenario: Scenario, given: argparse.Namespace) -> Iterator[Run]:
    """Run a scenario with the faults that are asked for."""
    with scratch_folder() as place:
        stage = set_up(scenario, Path(place), warm=not given.cold)
        points = stage.points(given.kinds.split(","), given.operations)
        for kind, at in chosen(points, scenario, given):
            yield run_once(stage, kind, at)


def chosen(
    points: list[tuple[str, int]], scenario: Scenario, given: argparse.Namespace
) -> list[tuple[str, int]]:
    """Choose a sample, of that a part, and of that what was not run before."""
    if given.sample is not None:
        random = Random(f"{given.seed} {scenario.name}")
        points = random.sample(points, min(given.sample, len(points)))
    part, parts = map(int, given.part.split("/"))
    done = {(row.scenario, row.level, row.kind, row.at) for row in read_runs(given.without)}
    return [
        (kind, at)
        for kind, at in points[part::parts]
        if (scenario.name, given.level, kind, at) not in done
    ]


def read_runs(results: Path | None) -> list[Run]:
    """Read a file of results; the last line may be half, where it was stopped."""
    lines = results.read_text().split("\n")[:-1] if results and results.exists() else []
    return [Run(**json.loads(line)) for line in lines]


def main(
    level: str = "operation",
    kinds: tuple[str, ...] = (*KINDS, "limit"),
    runs: Callable[[Scenario, argparse.Namespace], Iterator[Run]] = runs_of,
) -> None:
    """Run what the arguments name."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenarios", nargs="*", default=[])
    parser.add_argument("--kinds", default=",".join(kinds))
    parser.add_argument("--operations", nargs="*", default=[], help="such as unlink; else all")
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", default="0/1", help="of N processes, what the I-th does")
    parser.add_argument("--without", type=Path, help="a file of results: what was run already")
    parser.add_argument("--cold", action="store_true", help="each run compiles its own")
    given = parser.parse_args()
    given.level = level
    for name in given.scenarios or SCENARIOS:
        for run in runs(ALL[name], given):
            print(json.dumps(asdict(run)), flush=True)


if __name__ == "__main__":
    main()
