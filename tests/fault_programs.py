"""Runs a command in a fork, with a fault, and tells how it ended.

What a command loads and compiles is there already in the process that forks, and is shared.
"""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from failing_files import Fault, install, limit_files

_PATIENCE_S = 60
OWN = {"EVALTRACE_CACHE": "cache", "EVALTRACE_STORE": "", "EVALTRACE_REDACTION_KEY": "0" * 64}
Act = Callable[[], int]


@dataclass(frozen=True)
class Ended:
    """How a run ended: exit code (negative: by a signal), its words, its operations."""

    code: int
    said: str
    operations: list[str]


@contextmanager
def scratch_folder() -> Iterator[str]:
    """Give a folder in memory where there is one."""
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


def forked(
    folder: Path, act: Act, fault: Fault, meanwhile: Callable[[int], object] | None = None
) -> Ended:
    """Run something in a fork, in a folder; `meanwhile` gets its process, which it continues."""
    said, told = folder.with_name("said"), folder.with_name("told")
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _be_the_program(folder, act, fault, (said, told), waits=meanwhile is not None)
    if meanwhile is not None:
        os.waitpid(child, os.WUNTRACED)
        meanwhile(child)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return Ended(code, said.read_text(errors="replace"), told.read_text().splitlines())


def warm_up(folder: Path, act: Act) -> None:
    """Run something in this process, unheard: forks find loaded and compiled what it needs."""
    before, home = dict(os.environ), Path.cwd()
    streams = [os.dup(number) for number in (1, 2)]
    try:
        _redirect(os.devnull)
        _settle_in(folder)
        act()
        atexit._run_exitfuncs()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, stream in enumerate(streams, start=1):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(home)
        os.environ.clear()
        os.environ.update(before)
    # A look of the collector at what is shared would copy it.
    gc.collect()
    gc.freeze()


def _settle_in(folder: Path) -> None:
    os.chdir(folder)
    (folder / "tmp").mkdir(exist_ok=True)
    os.environ.update(OWN, HOME=str(folder / "home"), TMPDIR=str(folder / "tmp"))
    tempfile.tempdir = None


def _redirect(place: str | Path) -> None:
    out = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(out)


def _be_the_program(
    folder: Path, act: Act, fault: Fault, logs: tuple[Path, Path], *, waits: bool
) -> None:
    code = 99
    try:
        _redirect(logs[0])
        told = os.open(logs[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        _settle_in(folder)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.alarm(_PATIENCE_S)
        if fault.kind == "limit":
            limit_files(fault.at)
        elif fault.folder:
            fault.told = told
            install(fault)
        if waits:
            os.kill(os.getpid(), signal.SIGSTOP)
        code = _ended(act)
        fault.folder = "/nowhere"
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 98
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _ended(act: Act) -> int:
    """Run to the end that a program comes to, with what it does at its exit."""
    try:
        code = act()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else bool(end.code)
    except KeyboardInterrupt:
        code = 130
    atexit._run_exitfuncs()
    return code
