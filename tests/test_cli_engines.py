"""`evaltrace aggregate` with workers, parts and shares, as a user runs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from aggregated import aggregate_bytes
from evaltrace.cli import main
from evaltrace.cli.engines import to_share
from job_dirs import write_job


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("SLURM_ARRAY_TASK_ID", "AWS_BATCH_JOB_ARRAY_INDEX", "JOB_COMPLETION_INDEX"):
        monkeypatch.delenv(name, raising=False)
    return write_job(tmp_path / "jobs", "sample", ["one", "two", "three", "four"])


def run(*arguments: object) -> Result:
    command = ["aggregate", *map(str, arguments), "--prices", "none"]
    return CliRunner().invoke(main, command)


@pytest.mark.parametrize("output", ["out.json", "-"])
def test_workers_change_nothing_but_the_time(job: Path, output: str) -> None:
    one = run(job, "-o", output, "--workers", 1)
    first = Path(output).read_bytes() if output != "-" else one.stdout_bytes
    two = run(job, "-o", output, "--workers", 2)
    second = Path(output).read_bytes() if output != "-" else two.stdout_bytes
    assert (one.exit_code, two.exit_code) == (0, 0), two.output
    assert first == second == aggregate_bytes(job)
    assert one.stderr == two.stderr
    assert {path.name for path in Path().iterdir()} <= {"jobs", output}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--workers", "0"], "--workers"),
        (["--workers", "-1"], "--workers"),
        (["--workers", "many"], "--workers"),
        (["--engine", "spark"], "--engine"),
        (["--engine-address", "tcp://127.0.0.1:1"], "--engine dask"),
        (["--shard", "1/2"], "--parts"),
        (["--parts", ""], "--parts"),
        (["--parts", "p", "--shard", "0/2"], "within 1 and 2"),
        (["--parts", "p", "--shard", "3/2"], "within 1 and 2"),
        (["--parts", "p", "--shard", "1/x"], "like 3/16"),
        (["--parts", "p", "--shard", "1"], "like 3/16"),
        (["--parts", "p", "--shard", "auto"], "no job of an array"),
        (["--parts", "p", "--shard", "1/2", "-o", "x"], "leave out -o"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(job: Path, options: list[str], words: str) -> None:
    result = run(job, *options)
    assert result.exit_code == 2, result.output
    assert words in " ".join(result.stderr.split())
    assert [path.name for path in Path().iterdir()] == ["jobs"]


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_a_missing_package_names_the_extra(
    job: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.setitem(sys.modules, "ray", None)
    result = run(job, "--engine", engine, "-o", "out.json")
    assert result.exit_code == 1
    assert f"pip install 'evaltrace[{engine}]'" in result.stderr
    assert [path.name for path in Path().iterdir()] == ["jobs"]


def test_shares_of_an_array_are_joined_by_the_run_without_one(
    job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(3):
        monkeypatch.setenv("JOB_COMPLETION_INDEX", str(index))
        result = run(job, "--parts", "parts", "--shard", "auto/3")
        assert result.exit_code == 0, result.output
        assert f"share {index + 1}/3" in result.stderr
    assert not Path("artifacts").exists()
    parts = {path.name for path in Path("parts").iterdir()}
    assert len(parts) == 4
    assert run(job, "--parts", "parts", "-o", "out.json").exit_code == 0
    assert Path("out.json").read_bytes() == aggregate_bytes(job)
    assert {path.name for path in Path("parts").iterdir()} == {*parts, "_SUCCESS.json"}


def test_success_tells_what_was_written(job: Path) -> None:
    assert run(job, "--parts", "parts", "-o", "-").exit_code == 0
    told = json.loads(Path("parts/_SUCCESS.json").read_text())
    assert (told["trials"], told["traces"], told["problems"], told["sha256"]) == (4, 4, 0, None)
    run(job, "--parts", "parts", "-o", "out.json")
    told = json.loads(Path("parts/_SUCCESS.json").read_text())
    assert told["bytes"] == Path("out.json").stat().st_size


def test_a_failed_run_is_no_success(job: Path) -> None:
    next(job.glob("two__*/result.json")).write_text("")
    assert run(job, "--parts", "parts", "-o", "out.json", "--strict").exit_code == 1
    assert not Path("out.json").exists()
    assert not Path("parts/_SUCCESS.json").exists()


SLURM = {
    "SLURM_ARRAY_TASK_ID": "14",
    "SLURM_ARRAY_TASK_MIN": "10",
    "SLURM_ARRAY_TASK_STEP": "2",
    "SLURM_ARRAY_TASK_COUNT": "8",
}


@pytest.mark.parametrize(
    ("text", "environment", "share"),
    [
        ("3/16", {}, (3, 16)),
        ("auto", SLURM, (3, 8)),
        ("auto", SLURM | {"SLURM_ARRAY_TASK_STEP": "1"}, (5, 8)),
        ("auto", {"AWS_BATCH_JOB_ARRAY_INDEX": "0", "AWS_BATCH_JOB_ARRAY_SIZE": "5"}, (1, 5)),
        ("auto/5", {"AWS_BATCH_JOB_ARRAY_INDEX": "4"}, (5, 5)),
        ("auto/7", {"JOB_COMPLETION_INDEX": "6"}, (7, 7)),
    ],
)
def test_batch_systems_tell_the_share(
    text: str, environment: dict[str, str], share: tuple[int, int]
) -> None:
    assert to_share(text, environment) == share


@pytest.mark.parametrize(
    "environment",
    [
        {"SLURM_ARRAY_TASK_ID": "9", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_COUNT": "3"},
        {"SLURM_ARRAY_TASK_ID": "x"},
        {"JOB_COMPLETION_INDEX": "2"},
        {"AWS_BATCH_JOB_ARRAY_INDEX": "5", "AWS_BATCH_JOB_ARRAY_SIZE": "5"},
    ],
)
def test_an_array_that_is_not_understood_is_refused(environment: dict[str, str]) -> None:
    with pytest.raises(click.UsageError):
        to_share("auto", environment)
