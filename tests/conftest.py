from __future__ import annotations

import atexit
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from warm_command import warm_command

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden")


MEMORY = Path("/dev/shm")
_ROOM = 4 << 30


def _may_take_files(folder: Path) -> bool:
    """Tell whether a file system in memory has room, and lets programs run."""
    if not folder.is_mount() or not os.access(folder, os.W_OK):
        return False
    told = os.statvfs(folder)
    return told.f_bavail * told.f_frsize >= _ROOM and not told.f_flag & os.ST_NOEXEC


def _write_to_memory() -> None:
    """Put temporary folders into memory, away at the end; where TMPDIR is set, they stay there.

    The tests write and remove tens of thousands of small files and folders: a disk is slow at that.
    """
    if "TMPDIR" in os.environ or not _may_take_files(MEMORY):
        return
    for left in MEMORY.glob("evaltrace-tests-[0-9]*-*"):  # by one that was killed
        if not Path("/proc", left.name.split("-")[2]).exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=f"evaltrace-tests-{os.getpid()}-", dir=MEMORY)
    # At the very end: what was loaded later may remove something of its own from it at its exit.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.chmod(folder, 0o711)  # some tests act as another user
    os.environ["TMPDIR"] = folder  # for commands and for the processes of pytest-xdist
    tempfile.tempdir = folder


def pytest_configure(config: pytest.Config) -> None:
    """Keep the tests, and the commands that they run, out of the user's own folders."""
    _write_to_memory()
    folder = tempfile.mkdtemp(prefix="evaltrace-cache-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.environ["EVALTRACE_CACHE"] = folder
    os.environ["EVALTRACE_REDACTION_KEY"] = "a key for the tests"
    os.environ["EVALTRACE_STORE"] = os.path.join(folder, "store.db")
    # Else hundreds of commands compile the program again, and so do the tests of each process.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    # How long an example takes depends on who else uses the machine.
    settings.register_profile("untimed", deadline=None)
    settings.load_profile("untimed")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from looking at all tests again and again while they are made."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


LONG = (
    "test_corpus.py",
    "test_docs.py",
    "test_engines.py",
    "test_engines_dask.py",
    "test_faults_files.py",
    "test_faults_places.py",
    "test_faults_workers.py",
    "test_wheel.py",
)
"""Files that take longest: they begin first, so that no process waits for another at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture(scope="session")
def warm_evaltrace() -> Iterator[Path]:
    """The program `evaltrace`, that starts in no time: see there what it is good for."""
    with warm_command() as program:
        yield program


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with `tests/golden/NAME`, or rewrite that file."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"no {path.name}: run pytest --update-golden and read what it wrote"
        assert text == path.read_text(encoding="utf-8")

    return compare
