"""Bombs in a job directory, and in Parquet: a problem with a hint, or read; no crash, no hang."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bombs import BOMBS, GIGABYTE, PARQUET, Survived, run_each, run_limited
from evaltrace.files.dataset import write_dataset
from evaltrace.trace import Tool
from job_dirs import write_job
from traces import minimal_trace

MEMORY = 1 * GIGABYTE
SECONDS = 60
MEGABYTES = 400


def may_make_devices() -> bool:
    return os.geteuid() == 0


class Blown:
    """What aggregating a job of one trial for each bomb, and a good one, came to."""

    def __init__(self, folder: Path) -> None:
        names = {name: f"bomb-{number}" for number, name in enumerate(sorted(BOMBS))}
        self.job = write_job(folder, "job", ["good", *names.values()])
        self.trials = {name: next(self.job.glob(f"{task}__*")) for name, task in names.items()}
        for name, (bomb, _) in BOMBS.items():
            if name != "device" or may_make_devices():
                bomb(self.trials[name])
        out = folder / "traces.json"
        command = ["aggregate", self.job, "-o", out, "-q", "--workers", "1", "--no-cache"]
        self.end: Survived = run_limited(command, seconds=SECONDS, memory=MEMORY)
        self.document: dict[str, Any] = json.loads(out.read_bytes()) if out.exists() else {}

    def problems(self, name: str) -> list[dict[str, str]]:
        place = f"job/{self.trials[name].name}"
        return [row for row in self.document["problems"] if row["path"].startswith(place)]


@pytest.fixture(scope="module")
def blown(tmp_path_factory: pytest.TempPathFactory) -> Blown:
    return Blown(tmp_path_factory.mktemp("bombs"))


def test_all_bombs_together_are_survived_in_bounded_time_and_memory(blown: Blown) -> None:
    assert (blown.end.code, blown.end.err) == (0, "")
    assert 0 < blown.end.megabytes < MEGABYTES
    assert len(blown.document["traces"]) == len(BOMBS) + 1
    good = next(row for row in blown.document["traces"] if row["task"]["name"] == "good")
    assert (good["status"], good["problems"]) == ("pass", [])


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_a_bomb_is_a_problem_with_a_hint_or_is_read(blown: Blown, name: str) -> None:
    if name == "device" and not may_make_devices():
        pytest.skip("only root makes device files")
    rows = blown.problems(name)
    expected = BOMBS[name][1]
    assert expected <= {row["code"] for row in rows}, rows
    assert all(row["hint"] for row in rows)
    assert all(row["path"].isprintable() and row["message"].isprintable() for row in rows)
    if not expected:
        task = self_named(blown, name)
        assert task["status"] == "pass"


def self_named(blown: Blown, name: str) -> dict[str, Any]:
    """Give the trace of a bomb that has to be read."""
    place = blown.trials[name].name
    [trace] = [row for row in blown.document["traces"] if row["origin"]["path"] == place]
    found: dict[str, Any] = trace
    return found


# Parquet.

COMMANDS = {
    "show": ["show", "{}"],
    "validate": ["validate", "{}"],
    "search": ["search", "no such word", "{}"],
    "compare": ["compare", "{}", "{}"],
    "query": [
        "query",
        "SELECT count(*), max(length(trace)) FROM trials",
        "{}",
        "--memory",
        "200MB",
    ],
}
FORMS = {"file": ("show", "query"), "data set": tuple(COMMANDS)}
IN_PARQUET_MEGABYTES = 1200
"""DuckDB goes beyond the limit that it is given: here 200 MB."""


class Planted:
    """Each Parquet bomb as a file, and in a data set; and what the commands say of them."""

    def __init__(self, folder: Path) -> None:
        self.wanted: dict[tuple[str, str, str], list[str]] = {}
        for number, (name, (bomb, _)) in enumerate(sorted(PARQUET.items())):
            file, dataset = folder / f"{number}.parquet", folder / str(number)
            bomb(file)
            write_dataset(dataset, [minimal_trace()], tool=Tool(name="evaltrace", version="0"))
            [table] = dataset.glob("trials/**/*.parquet")
            table.unlink()
            table.hardlink_to(file)
            for form, place in (("file", file), ("data set", dataset)):
                for command in FORMS[form]:
                    own = [part.format(place) for part in COMMANDS[command]]
                    self.wanted[name, form, command] = own
        answers, self.megabytes = run_each(list(self.wanted.values()), seconds=SECONDS)
        self.answers = dict(zip(self.wanted, answers, strict=True))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    pytest.importorskip("pyarrow")
    pytest.importorskip("duckdb")
    return Planted(tmp_path_factory.mktemp("parquet"))


def test_parquet_bombs_are_survived_in_bounded_memory(planted: Planted) -> None:
    assert 0 < planted.megabytes < IN_PARQUET_MEGABYTES


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", sorted(PARQUET))
def test_a_parquet_bomb_is_refused_with_a_hint_or_read(
    planted: Planted, name: str, form: str
) -> None:
    says = PARQUET[name][1]
    for command in FORMS[form]:
        code, told, _ = planted.answers[name, form, command]
        if not says:
            assert code == (1 if command == "validate" else 0), (command, told)
        elif (name, form, command) == ("one value everywhere", "data set", "query"):
            assert "Out of Memory" in told
            assert "--memory" in told
        else:
            assert code == 1, (command, told)
            assert says in told, (command, told)
            assert "Traceback" not in told
