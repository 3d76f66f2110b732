"""Aggregates job directories for tests, in memory."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from evaltrace.aggregate import Map, Sharded, write_aggregation
from evaltrace.files import Folder, LocalFolder
from evaltrace.plan import Options, Plan, plan_aggregation

_BESIDE = Path(__file__).parents[1].parent / "shared" / "corpus"
CORPUS = Path(os.environ.get("EVALTRACE_CORPUS") or _BESIDE)
"""Real job directories, where there are any."""

EXAMPLES = Path(__file__).parents[1] / "examples" / "jobs"


def copy_examples(folder: Path, trials: int) -> Path:
    """Copy the example jobs with their first trials only, where each file is a slow request."""
    for job in sorted(EXAMPLES.iterdir()):
        left_out = sorted(path.name for path in job.iterdir() if path.is_dir())[trials:]
        shutil.copytree(job, folder / job.name, ignore=shutil.ignore_patterns(*left_out))
    return folder


def aggregate_bytes(*paths: Path, form: Any = "json", **options: Any) -> bytes:
    """Give the file that aggregating the paths makes, as bytes.

    Costs are computed only where `prices` says so: tests of a reader see what it read.
    """
    out = BytesIO()
    given = Options(**{"prices": "none"} | options)
    write_aggregation(plan_aggregation(paths, given), out, form=form)
    return out.getvalue()


def aggregate(*paths: Path, **options: Any) -> dict[str, Any]:
    """Give the file that aggregating the paths makes, as a document."""
    document: dict[str, Any] = json.loads(aggregate_bytes(*paths, **options))
    return document


def corpus_bytes(name: str, events: bool = True) -> bytes:
    """Give what `aggregate_bytes` gives of a folder of the corpus, made once for all tests."""
    return _corpus_bytes(name, events)


@cache
def _corpus_bytes(name: str, events: bool) -> bytes:
    return aggregate_bytes(CORPUS / name, events=events)


def corpus_document(name: str, events: bool = True) -> dict[str, Any]:
    """Give the traces of a folder of the corpus as a document of the caller's own."""
    document: dict[str, Any] = json.loads(corpus_bytes(name, events))
    return document


def codes(document: dict[str, Any]) -> set[str]:
    """Give the codes of all problems of a file of traces."""
    return {problem["code"] for problem in document["problems"]}


def by_task(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Give the traces by the short name of their task."""
    return {trace["task"]["name"]: trace for trace in document["traces"]}


def the_trace(job: Path, **options: Any) -> dict[str, Any]:
    """Give the only trace of a job."""
    [trace] = aggregate(job, **options)["traces"]
    found: dict[str, Any] = trace
    return found


def the_trial(job: Path) -> Path:
    """Give the only trial directory of a job."""
    [trial] = [path for path in job.iterdir() if path.is_dir()]
    return trial


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON file in place."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def edit_result(job: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the result of the only trial of a job."""
    [path] = job.glob("*/result.json")
    edit_json(path, change)


def through(folder: Folder | Path, plan: Plan, map: Map = map, form: str = "json") -> bytes:
    """Give what an aggregation writes that goes through a folder of parts."""
    out = BytesIO()
    opened = LocalFolder(folder) if isinstance(folder, Path) else folder
    write_aggregation(plan, out, form=form, sharded=Sharded(map, opened))
    return out.getvalue()
