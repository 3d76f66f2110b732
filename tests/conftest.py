from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden")


def pytest_configure(config: pytest.Config) -> None:
    """Keep the tests, and the commands that they run, out of the user's own folders."""
    folder = tempfile.mkdtemp(prefix="evaltrace-cache-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.environ["EVALTRACE_CACHE"] = folder
    os.environ["EVALTRACE_REDACTION_KEY"] = "tests"
    os.environ["EVALTRACE_STORE"] = os.path.join(folder, "store.db")
    # How long an example takes depends on who else uses the machine.
    settings.register_profile("untimed", deadline=None)
    settings.load_profile("untimed")


LONG = ("test_docs.py", "test_engines.py", "test_engines_dask.py", "test_wheel.py")
"""Files that take longest: they begin first, so that no process waits for another at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONG)


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
