"""Which Harbor ran a job: exact with a lock, else a range that holds the true version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aggregated import aggregate
from evaltrace.readers.harbor.version import Version
from job_configs import since
from job_dirs import write_job

RANGES = {
    "0.1.0": "<0.1.1",
    "0.1.12": ">=0.1.1,<0.1.13",
    "0.1.18": ">=0.1.14,<0.1.29",
    "0.1.30": ">=0.1.29,<0.1.32",
    "0.1.40": ">=0.1.36,<0.1.45",
    "0.1.45": ">=0.1.45,<0.2.0",
    "0.2.0": ">=0.2.0,<0.3.0",
    "0.3.0": ">=0.3.0,<0.5.0",
    "0.5.0": ">=0.5.0,<0.6.0",
    "0.6.0": ">=0.6.0,<0.6.2",
    "0.6.2": ">=0.6.2,<0.7.1",
    "0.7.1": ">=0.7.1,<0.8.0",
    "0.8.0": ">=0.8.0,<0.16.0",
    "0.16.0": ">=0.16.0,<0.19.0",
    "0.17.0": ">=0.17.0,<0.19.0",
    "0.17.1": ">=0.17.1,<0.19.0",
    "0.19.0": ">=0.19.0,<0.21.0",
    "0.21.0": ">=0.21.0,<0.22.0",
    "0.22.0": ">=0.22.0,<0.23.0",
    "0.23.0": ">=0.23.0,<0.24.0",
    "0.24.0": ">=0.24.0,<0.25.0",
    "0.25.0": ">=0.25.0",
}
"""What the signs of section 14 of the format reference leave open, by true version."""


def origin(job: Path) -> dict[str, Any]:
    [trace] = aggregate(job)["traces"]
    found: dict[str, Any] = trace["origin"]
    return found


def holds(label: str, version: str) -> bool:
    low, _, high = label.partition("<")
    low = low.removeprefix(">=").rstrip(",")
    return (not low or since(version, low)) and (not high or not since(version, high))


@pytest.mark.parametrize("version", [v for v in RANGES if since(v, "0.6.2")])
def test_lock_of_the_job_is_exact(tmp_path: Path, version: str) -> None:
    document = aggregate(write_job(tmp_path, "job", ["add-flag"], version=version))
    [trace], [row] = document["traces"], document["inputs"]
    assert trace["origin"]["harness_version"] == row["harness_version"] == version
    assert trace["origin"]["harness_version_from"] == "lock.json of the job"


@pytest.mark.parametrize("version", RANGES)
def test_without_a_lock_the_signs_give_a_range(tmp_path: Path, version: str) -> None:
    job = write_job(tmp_path, "job", ["add-flag"], version=version)
    (job / "lock.json").unlink(missing_ok=True)
    label = origin(job)["harness_version"]
    assert label == RANGES[version]
    assert holds(label, version)


@pytest.mark.parametrize("version", RANGES)
def test_a_trial_without_its_job_still_tells(tmp_path: Path, version: str) -> None:
    [trial] = write_job(tmp_path, "job", ["add-flag"], version=version).glob("*/")
    alone = trial.rename(tmp_path / "alone")
    assert holds(origin(alone)["harness_version"], version)


@pytest.mark.parametrize("version", [v for v in RANGES if not since(v, "0.6.2")])
def test_a_running_trial_is_dated_by_its_config(tmp_path: Path, version: str) -> None:
    spec = {"task": "add-flag", "state": "running"}
    job = write_job(tmp_path, "job", [spec], version=version, finished=False)
    found = origin(job)
    assert holds(found["harness_version"], version)
    assert "config." in found["harness_version_from"]


def test_a_missing_job_log_says_nothing(tmp_path: Path) -> None:
    # Repositories leave *.log out; 0.1.12 and before had none.
    job = write_job(tmp_path, "job", ["add-flag"], version="0.5.0")
    (job / "job.log").unlink()
    assert origin(job)["harness_version"] == RANGES["0.5.0"]


def test_a_trial_graded_again_is_not_dated_by_the_files_of_its_source(tmp_path: Path) -> None:
    [trial] = write_job(tmp_path, "job", ["add-flag"], version="0.25.0").glob("*/")
    (trial / "agent" / "command-0").mkdir()
    alone = trial.rename(tmp_path / "alone")
    result = json.loads((alone / "result.json").read_text())
    assert origin(alone)["harness_version_from"].startswith("contradictory")
    result["config"]["source_trial"] = {"path": "/home/ada/bench/jobs/old/add-flag__1"}
    (alone / "result.json").write_text(json.dumps(result))
    found = origin(alone)
    assert found["harness_version"] == ">=0.25.0"
    assert found["harness_version_from"] == "config.agent.skip_model_parsing present"


def test_contradictory_signs_of_a_fork_are_named(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["add-flag"], version="0.16.0")
    (job / "lock.json").unlink()
    [path] = job.glob("*/result.json")
    result = json.loads(path.read_text())
    del result["config"]["agent"]["mcp_servers"]
    path.write_text(json.dumps(result))
    document = aggregate(job)
    [trace] = document["traces"]
    assert trace["status"] == "pass"
    assert trace["origin"]["harness_version"] == ">=0.16.0"
    assert trace["origin"]["harness_version_from"] == (
        "contradictory, perhaps a fork: config.install_only present "
        "but config.agent.mcp_servers absent"
    )


def test_a_lock_without_a_version_falls_back_to_the_signs(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["add-flag"], version="0.25.0")
    lock = json.loads((job / "lock.json").read_text())
    lock["harbor"]["version"] = "unknown"
    (job / "lock.json").write_text(json.dumps(lock))
    assert origin(job)["harness_version"] == ">=0.25.0"


@pytest.mark.parametrize(
    ("exact", "boundary", "before"),
    [
        ("0.6.6", "0.7.0", True),
        ("0.7", "0.7.0", False),
        ("0.7.0rc1", "0.7.0", False),
        ("0.10.0", "0.7.0", False),
        ("1", "0.7.0", False),
    ],
)
def test_versions_compare_by_number(exact: str, boundary: str, before: bool) -> None:
    assert Version(exact=exact).before(boundary) is before


def test_a_range_is_before_a_version_only_if_all_of_it_is() -> None:
    assert Version(high=(0, 7, 0)).before("0.7.0")
    assert not Version(low=(0, 1, 0), high=(0, 7, 1)).before("0.7.0")
    assert not Version().before("0.7.0")
    assert Version().label is None
