"""Runs commands whose files fail, and judges what they leave.

    python tests/fault_runs.py SCENARIO... [--kinds KIND,...] [--sample N] [--seed N]

A line of JSON for each run: scenario, kind, at, operation, code, faults. A process of its own,
as it forks for each run: what is loaded is loaded once.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from evaltrace.files import read_traces
from failing_files import ERRORS, KINDS, Fault, files_below, install, limit_files
from fault_scenarios import CARELESS, SCENARIOS, Scenario

_INTERRUPTS = {"SIGTERM": 143, "SIGINT": 130}
_LEFT_ASIDE = ("jobs/", "inputs/", "home/", "cache/", "parts/")
_PATIENCE_S = 60


@dataclass
class Run:
    """One run with one fault, and what was wrong with what it left."""

    scenario: str
    kind: str
    at: int
    operation: str = ""
    code: int = 0
    faults: list[str] = field(default_factory=list)
    said: str = ""


@dataclass(frozen=True)
class Ended:
    """How a run ended: exit code (negative: by a signal), its words, its operations, modules."""

    code: int
    said: str
    operations: list[str]
    modules: list[str]


def runs_of(
    scenario: Scenario, kinds: list[str], sample: int | None, random: Random
) -> Iterator[Run]:
    """Run a scenario with each fault at each operation, or a sample of them."""
    with scratch_folder() as place:
        template = Path(place, "template")
        template.mkdir()
        forked(template, scenario.prepare, Fault(str(template)))
        (template / "home").mkdir(exist_ok=True)
        old = state_of(scenario, template)
        clean = copied(template, Path(place, "clean"))
        ended = forked(clean, scenario.run, Fault(str(clean)))
        new = state_of(scenario, clean)
        assert ended.code == 0, ended.said
        assert old != new, scenario.name
        for name in ended.modules:
            with suppress(Exception):
                import_module(name)
        points = [(kind, at) for kind in kinds for at in _points(kind, len(ended.operations), new)]
        for kind, at in (
            points if sample is None else random.sample(points, min(sample, len(points)))
        ):
            yield _run_once(scenario, template, (old, new), Run(scenario.name, kind, at))


def _points(kind: str, operations: int, new: dict[str, Any]) -> range:
    if kind != "limit":
        return range(1, operations + 1)
    largest = max(len(value) for value in new.values())
    return range(1000, largest + 4096, max(largest // 40, 1))


@contextmanager
def scratch_folder() -> Iterator[str]:
    # Not TemporaryDirectory: each child that ends as programs do would remove it.
    place = tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def copied(source: Path, target: Path) -> Path:
    """Copy what a run may change; what it only reads stays where it is."""
    target.mkdir()
    for path in source.iterdir():
        if path.name in {"jobs", "inputs"}:
            (target / path.name).symlink_to(path)
        elif path.is_dir():
            shutil.copytree(path, target / path.name, symlinks=True)
        else:
            shutil.copy2(path, target)
    return target


def _run_once(
    scenario: Scenario, template: Path, states: tuple[dict[str, Any], dict[str, Any]], run: Run
) -> Run:
    folder = copied(template, template.with_name("run"))
    try:
        ended = forked(folder, scenario.run, Fault(str(folder), run.kind, run.at))
        if run.kind != "limit":
            if len(ended.operations) < run.at:  # another order of writes: nothing failed
                return run
            run.operation = ended.operations[run.at - 1]
        run.code, run.said = ended.code, ended.said
        run.faults = list(faults_of(scenario, folder, states, run))
        run.faults += _faults_of_next(scenario, folder, states[1], run)
        return run
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _faults_of_next(
    scenario: Scenario, folder: Path, new: dict[str, Any], run: Run
) -> Iterator[str]:
    """Run again, without a fault: what was left is no hindrance."""
    if run.faults or run.kind in ERRORS or scenario.is_whole(state_of(scenario, folder), new):
        return
    again = forked(folder, scenario.again or scenario.run, Fault(str(folder)))
    after = state_of(scenario, folder)
    whole = scenario.forgiving or scenario.is_whole(after, new)
    if (again.code and not scenario.forgiving) or not whole:
        yield f"the next run: {again.code} {again.said} {sorted(after)}"


def faults_of(
    scenario: Scenario, folder: Path, states: tuple[dict[str, Any], dict[str, Any]], run: Run
) -> Iterator[str]:
    old, new = states
    names = {path for path in files_below(folder) if not f"{path}/".startswith(_LEFT_ASIDE)}
    left = sorted(name for name in names if name not in {*old, *new} and not _of_database(name))
    hidden = all("/." in f"/{name}" for name in left)
    stopped = run.kind.startswith("SIG")
    killed = run.kind == "SIGKILL" or (stopped and scenario.forgiving)
    may_stay = killed or run.kind == "gone" or (not stopped and _is_removal(run.operation))
    left = [name for name in left if not scenario.may_leave(name)]
    if left and not (hidden and may_stay):
        yield f"left: {left}"
    after = state_of(scenario, folder)
    torn = (
        []
        if stopped and scenario.forgiving
        else [
            name
            for name in {**old, **new}
            if after.get(name) not in (old.get(name), new.get(name))
            and not scenario.may_leave(name)
        ]
    )
    if torn:
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


def _is_removal(operation: str) -> bool:
    return operation.split(" ", maxsplit=1)[0] in {"unlink", "rmdir", "remove"}


def _of_database(name: str) -> bool:
    return name.endswith((".db", ".db-wal", ".db-shm", ".db-journal"))


def state_of(scenario: Scenario, folder: Path) -> dict[str, Any]:
    """Give what a folder holds: files by their content, stores by what can be read of them."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*.db")):
        traces = (
            []
            if path.name.startswith(".")
            else sorted(msgspec.json.encode(trace) for trace in read_traces(path))
        )
        if traces:  # an empty store is as good as none
            found[str(path.relative_to(folder))] = b"\n".join(traces)
    for name, content in files_below(folder).items():
        if not f"{name}/".startswith(_LEFT_ASIDE) and not _of_database(name):
            found[name] = scenario.shape(content) if _is_trace(name) else content
    return found


def _is_trace(name: str) -> bool:
    return Path(name).name.startswith("trace_") and name.endswith(".json")


def forked(folder: Path, act: Callable[[], int], fault: Fault) -> Ended:
    said, told = folder.with_name("said"), folder.with_name("told")
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _be_the_program(folder, act, fault, said, told)
    _, status = os.waitpid(child, 0)
    lines = told.read_text().splitlines()
    modules = [line[1:] for line in lines if line.startswith("\t")]
    operations = [line for line in lines if not line.startswith("\t")]
    return Ended(os.waitstatus_to_exitcode(status), said.read_text(), operations, modules)


def _be_the_program(
    folder: Path, act: Callable[[], int], fault: Fault, said: Path, told: Path
) -> None:
    code = 99
    try:
        out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        tell = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        os.chdir(folder)
        os.environ.update(HOME=str(folder / "home"), EVALTRACE_CACHE="cache", EVALTRACE_STORE="")
        os.environ["EVALTRACE_REDACTION_KEY"] = "0" * 64
        signal.alarm(_PATIENCE_S)
        if fault.kind == "limit":
            limit_files(fault.at)
        elif fault.folder:
            fault.told = tell
            install(fault)
        try:
            code = act()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else bool(end.code)
        except KeyboardInterrupt:
            code = 130
        atexit._run_exitfuncs()
        fault.folder = "/nowhere"
        os.write(tell, "".join(f"\t{name}\n" for name in sorted(sys.modules)).encode())
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 98
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Run what the arguments name."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenarios", nargs="*", default=[])
    parser.add_argument("--kinds", default=",".join([*KINDS, "limit"]))
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    random = Random(given.seed)
    for name in given.scenarios or SCENARIOS:
        for run in runs_of(
            {**SCENARIOS, "careless": CARELESS}[name], given.kinds.split(","), given.sample, random
        ):
            print(json.dumps(asdict(run)), flush=True)


if __name__ == "__main__":
    main()
