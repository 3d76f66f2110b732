"""Runs commands where little is allowed: read-only folders, full disks, few files and processes.

    python tests/limited_places.py

A line of JSON for each run: place, command, code, what was said, whether the output is the usual
one. A process of its own: it forks for each run, and only the fork is limited. As root, whom no
permission binds, folders become read-only by a mount that the fork alone sees.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from aggregated import EXAMPLES
from failing_files import Fault
from fault_programs import forked, scratch_folder, warm_up
from fault_scenarios import START, call

_CLONE_NEWNS = 0x20000
_MS_RDONLY, _MS_REC, _MS_PRIVATE = 1, 16384, 1 << 18
_NOBODIES = 1_000_000
_FEW_FILES = 8
_JOBS = ("baseline", "with-codesearch")


class NotAllowed(Exception):
    """This machine does not let anybody make such a place."""


def _record() -> int:
    import evaltrace

    with evaltrace.recording("demo", "fix", folder="out", clock=lambda: START) as run:
        run.event("x", {"number": 1})
    return 0


_AGGREGATE = ("-q", "--prices", "none", "--workers", "2")
COMMANDS: dict[str, Callable[[], int]] = {
    "aggregate": lambda: call("aggregate", "../jobs", "-o", "out/traces.json", *_AGGREGATE),
    "compare": lambda: call("compare", "../a.json", "../b.json", "-q", "-o", "out/report.html"),
    "store": lambda: call("store", "add", "../a.json"),
    "redact": lambda: call("redact", "../a.json", "-o", "out/shared.json"),
    "redact job": lambda: call("redact", "../jobs", "-o", "out/jobs"),
    "record": _record,
}
"""All run in an empty folder; what they read lies beside it, the store below the home."""


def _mount(place: Path, flags: int, options: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) or libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None):
        raise NotAllowed("no mount namespace of its own")
    if libc.mount(b"none", os.fsencode(place), b"tmpfs", flags, options.encode()):
        raise NotAllowed("no mount")


def _read_only(place: Path) -> None:
    if os.geteuid():
        place.chmod(0o555)
    else:
        _mount(place, _MS_RDONLY, "")
    os.chdir(Path.cwd())


def _full(place: Path) -> None:
    if os.geteuid():
        raise NotAllowed("only root may mount a small disk")
    _mount(place, 0, "size=16k")
    os.chdir(Path.cwd())
    with suppress(OSError), (place / "rest").open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass


def _home(place: str | Path) -> None:
    os.environ["HOME"] = str(place)


def _temporary(place: str | Path) -> None:
    os.environ["TMPDIR"] = str(place)


def _few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FEW_FILES, _FEW_FILES))


def _processes(number: int) -> None:
    if not os.geteuid():
        nobody = _NOBODIES + os.getpid()  # who has no other processes
        os.setgroups([])
        os.setresgid(nobody, nobody, nobody)
        os.setresuid(nobody, nobody, nobody)
    resource.setrlimit(resource.RLIMIT_NPROC, (number, number))


PLACES: dict[str, Callable[[], None]] = {
    "read-only home": lambda: _read_only(Path.cwd() / "home"),
    "home that is a file": lambda: _home(Path.cwd().parent / "a.json"),
    "home that is nowhere": lambda: _home("/proc/none"),
    "no temporary folder": lambda: _temporary("/proc/none"),
    "read-only working folder": lambda: _read_only(Path.cwd()),
    "full disk": lambda: _full(Path.cwd()),
    "few open files": _few_files,
    "one other process": lambda: _processes(2),
    "no other process": lambda: _processes(1),
}


def _prepare(place: Path) -> None:
    for job in _JOBS:
        for trial in sorted((EXAMPLES / job).glob("importer*")):
            shutil.copytree(trial, place / "jobs" / job / trial.name)
    _new(place / "first")
    for job, name in zip(_JOBS, "ab", strict=True):
        made = forked(
            place / "first",
            lambda job=job, name=name: call(  # type: ignore[misc]
                "aggregate", f"../jobs/{job}", "-o", f"../{name}.json", *_AGGREGATE
            ),
            Fault(""),
        )
        assert made.code == 0, made.said


def _new(folder: Path) -> Path:
    (folder / "home").mkdir(parents=True)
    for path in (folder, folder / "home"):
        path.chmod(0o777)
    return folder


def _written(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted((folder / "out").rglob("*"))
        if path.is_file()
    }


def _limited(command: Callable[[], int], limit: Callable[[], None]) -> Callable[[], int]:
    def act() -> int:
        os.environ.pop("EVALTRACE_STORE", None)
        try:
            limit()
        except NotAllowed as reason:
            print(f"not allowed: {reason}")
            return 77
        return command()

    return act


def main() -> None:
    """Run all commands in all places."""
    with scratch_folder() as scratch:
        place = Path(scratch)
        place.chmod(0o755)
        _prepare(place)
        for name, command in COMMANDS.items():
            warm_up(_new(place / f"warm {name}"), command)
            usual = _new(place / f"usual {name}")
            assert forked(usual, _limited(command, lambda: None), Fault("")).code == 0, name
            for where, limit in PLACES.items():
                folder = _new(place / f"{name} {where}")
                ended = forked(folder, _limited(command, limit), Fault(""))
                same = bool(_written(folder)) and _same(_written(folder), _written(usual))
                row = {"place": where, "command": name, "code": ended.code, "said": ended.said}
                left = [str(path) for path in folder.rglob(".evaltrace-*")]
                print(json.dumps({**row, "usual": same, "left": left}), flush=True)


def _same(found: dict[str, bytes], usual: dict[str, bytes]) -> bool:
    """Compare what was written; a recording has an id of its own."""
    if any(name.startswith("out/trace_") for name in usual):
        return sorted(found) == sorted(usual)
    return found == usual


if __name__ == "__main__":
    main()
