"""Arms of the real job directories, read once for all tests that look at them."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from aggregated import CORPUS
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.pairing import name_tasks, pair_tasks
from evaltrace.compare.reading.metric import find_metric
from evaltrace.compare.reading.paths import read_path
from evaltrace.compare.reading.splitting import to_sides
from evaltrace.compare.sides import Pairing, Side

Arms = tuple[Side, Side, Pairing]

needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")


def lab() -> Arms:
    """The baseline and the arm with an MCP server, of which everything is known."""
    return _arms("lab-dev/jobs/baseline", "lab-dev/jobs/with-sourcegraph")


def lab_truth() -> dict[str, Any]:
    """What is true of the two arms of the laboratory."""
    truth: dict[str, Any] = json.loads((CORPUS / "lab-dev" / "expected.json").read_text())
    return truth


def with_symnav(agent: str) -> Arms:
    """An agent without and with a command-line program and its skill."""
    return _arms(f"tool-ab-2026-08/{agent}-stock", f"tool-ab-2026-08/{agent}-tool", "tool:symnav")


@cache
def _arms(baseline: str, treatment: str, wanted: str | None = None) -> Arms:
    options = CompareOptions(treatment=wanted, prices="none")
    metric = find_metric("reward")
    paths = (CORPUS / baseline, CORPUS / treatment)
    sides = to_sides([(None, read_path(path, metric, options)) for path in paths], None, [])
    name_tasks(sides, options)
    return sides[0], sides[1], pair_tasks(sides[0], sides[1], options)
