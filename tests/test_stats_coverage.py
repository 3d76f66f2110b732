"""The default interval holds the truth as often as the documentation says."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
SETS = 1500


@pytest.fixture(scope="module")
def coverage() -> ModuleType:
    spec = importlib.util.spec_from_file_location("coverage_bench", ROOT / "benchmarks/coverage.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


MEASURED = {
    ("spread, helps", 10, 1): 0.997,
    ("spread, helps", 10, 3): 0.992,
    ("spread, helps", 25, 1): 0.978,
    ("spread, helps", 25, 3): 0.968,
    ("large effect", 10, 1): 0.992,
    ("large effect", 10, 3): 0.959,
    ("large effect", 25, 1): 0.970,
    ("large effect", 25, 3): 0.962,
}
"""Coverage by scenario, tasks and attempts, from 5,000 data sets."""


@pytest.mark.parametrize("tasks", [10, 25])
@pytest.mark.parametrize("name", ["spread, helps", "large effect"])
def test_the_truth_is_held_as_often_as_measured(
    coverage: ModuleType, name: str, tasks: int
) -> None:
    scenario = next(one for one in coverage.SCENARIOS if one.name == name)
    for cell in coverage.cells(scenario, tasks, SETS, seed=7):
        if cell.attempts == 5:
            continue
        expected = MEASURED[name, tasks, cell.attempts]
        slack = 3 * coverage.error(expected, SETS) * (1 + SETS / 5000) ** 0.5
        assert cell.coverage == pytest.approx(expected, abs=slack)
        assert cell.coverage >= 0.945 - 3 * coverage.error(0.945, SETS)


def test_an_interval_that_is_too_narrow_would_be_seen(
    coverage: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evaltrace.stats import mean_t

    monkeypatch.setattr(coverage, "plus_two", lambda d, attempts: mean_t(d))
    found = list(coverage.cells(coverage.SCENARIOS[-1], 10, 500, seed=7))
    assert min(cell.coverage for cell in found) < 0.9


def test_the_documented_table_has_a_cell_for_each_size(coverage: ModuleType) -> None:
    page = (ROOT / "docs" / "statistics.md").read_text()
    rows = re.findall(r"^\| k = (\d+) \|(.*)\|$", page, re.M)
    assert [int(k) for k, _ in rows] == list(coverage.ATTEMPTS)
    worst = [float(value) for _, row in rows for value in re.findall(r"\[([\d.]+)\]", row)]
    assert len(worst) == len(coverage.ATTEMPTS) * len(coverage.TASKS)
    assert min(worst) >= 94.5
