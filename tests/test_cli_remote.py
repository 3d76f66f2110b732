"""`evaltrace` with URLs: jobs, parts and outputs on a real S3 server, byte for byte."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aggregated import copy_examples
from s3_server import BUCKET, client, keys, s3_server, upload

ARMS = ("baseline", "with-codesearch")
Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_examples(tmp_path_factory.mktemp("examples"), trials=2)


@pytest.fixture(scope="module")
def jobs(disk: Path) -> Iterator[str]:
    with s3_server():
        yield upload(disk, "examples/jobs")


@pytest.fixture(scope="module")
def expected(disk: Path, run: Run) -> bytes:
    return aggregated(run, disk)


@pytest.fixture(scope="module")
def run(warm_evaltrace: Path) -> Run:
    def command(*arguments: object) -> subprocess.CompletedProcess[bytes]:
        line = [warm_evaltrace, *map(str, arguments)]
        return subprocess.run(line, capture_output=True, timeout=60, check=False)

    return command


def aggregated(run: Run, *arguments: object) -> bytes:
    outcome = run("aggregate", *arguments, "-o", "-")
    assert outcome.returncode == 0, outcome.stderr.decode()
    return outcome.stdout


@pytest.mark.parametrize("workers", [1, 2])
def test_jobs_of_a_bucket_give_the_bytes_of_a_disk(
    run: Run, jobs: str, expected: bytes, workers: int
) -> None:
    assert len(json.loads(expected)["traces"]) == 4
    assert aggregated(run, jobs, "--workers", workers) == expected


def test_a_job_of_a_bucket_and_one_of_the_disk_go_together(
    run: Run, jobs: str, disk: Path, expected: bytes
) -> None:
    assert aggregated(run, f"{jobs}/baseline", disk / "with-codesearch") == expected


def test_parts_and_output_in_a_bucket(run: Run, jobs: str, expected: bytes) -> None:
    parts, output = f"s3://{BUCKET}/run/parts", f"s3://{BUCKET}/run/traces.json"
    for share in ("1/2", "2/2"):
        assert run("aggregate", jobs, "--parts", parts, "--shard", share).returncode == 0
    outcome = run("aggregate", jobs, "--parts", parts, "-o", output)
    assert outcome.returncode == 0, outcome.stderr.decode()
    written = client().get_object(Bucket=BUCKET, Key="run/traces.json")["Body"].read()
    assert written == expected
    assert any(name.endswith("_SUCCESS.json") for name in keys("run/parts"))


def test_files_of_traces_in_a_bucket_are_compared_shown_and_validated(
    run: Run, jobs: str, disk: Path, tmp_path: Path
) -> None:
    for arm in ARMS:
        place = f"s3://{BUCKET}/arms/{arm}.json"
        assert run("aggregate", disk / arm, "-o", place, "-q").returncode == 0
        assert run("aggregate", disk / arm, "-o", tmp_path / f"{arm}.json").returncode == 0
    compared = [
        run(
            "compare", f"{where}/baseline.json", f"{where}/with-codesearch.json", "--format", "json"
        )
        for where in (f"s3://{BUCKET}/arms", tmp_path)
    ]
    assert json.loads(compared[0].stdout) == json.loads(compared[1].stdout)
    assert b"2 traces" in run("validate", f"s3://{BUCKET}/arms/baseline.json").stderr
    assert run("show", f"s3://{BUCKET}/arms/baseline.json").returncode == 0


def test_what_is_not_there_is_told_by_its_url(run: Run, jobs: str, tmp_path: Path) -> None:
    for url in (f"{jobs}/none", "s3://no-such-bucket/jobs"):
        outcome = run("aggregate", url, "-o", tmp_path / "out.json")
        assert outcome.returncode == 1
        assert url.encode() in outcome.stderr
        assert b"Traceback" not in outcome.stderr
    assert list(tmp_path.iterdir()) == []
    missing = run("show", f"s3://{BUCKET}/none.json")
    assert missing.returncode == 1
    assert f"s3://{BUCKET}/none.json".encode() in missing.stderr


def test_what_a_url_cannot_be_is_wrong_usage(run: Run, disk: Path) -> None:
    for wrong in (["--archive"], ["--format", "parquet"]):
        outcome = run("aggregate", disk, "-o", f"s3://{BUCKET}/x.json", *wrong)
        assert outcome.returncode == 2
