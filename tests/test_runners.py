"""The runners: whole jobs under the names that scripts know."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from aggregated import EXAMPLES, aggregate_bytes
from evaltrace import schema

ROOT = Path(__file__).parents[1]
RUNNERS = sorted((ROOT / "runners").glob("*.py"))


def run(runner: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(runner), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("runner", RUNNERS, ids=lambda path: path.name)
def test_every_runner_has_help_and_a_docstring(runner: Path, tmp_path: Path) -> None:
    done = run(runner, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"Usage: {runner.name}" in done.stdout
    assert runner.read_text().startswith('"""')


def test_aggregation_does_what_the_command_does(tmp_path: Path) -> None:
    runner = ROOT / "runners" / "aggregate_execution_traces.py"
    job = EXAMPLES / "with-codesearch"
    arguments = ["--job-dir", str(job), "--task", "resolver-padding"]
    done = run(runner, *arguments, "--output", "artifacts/mcp-traces.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    written = (tmp_path / "artifacts" / "mcp-traces.json").read_bytes()
    assert written == aggregate_bytes(job, tasks=("resolver-padding",))


def test_errors_and_exit_codes_are_those_of_the_command(tmp_path: Path) -> None:
    runner = ROOT / "runners" / "aggregate_execution_traces.py"
    done = run(runner, "--job-dir", "missing", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: no such directory: missing")


def test_a_comparison_leaves_traces_and_reports(tmp_path: Path) -> None:
    runner = ROOT / "runners" / "compare_runs.py"
    jobs = [str(EXAMPLES / name) for name in ("baseline", "with-codesearch")]
    done = run(runner, *jobs, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    artifacts = tmp_path / "artifacts"
    comparison = json.loads((artifacts / "comparison.json").read_text())
    assert schema.violations(comparison, "comparison") == []
    assert done.stdout == comparison["verdict"]["sentence"] + "\n"
    assert [row["name"] for row in comparison["inputs"]] == [
        "baseline-execution-traces-full.json",
        "treatment-execution-traces-full.json",
    ]
    written = {path.name for path in artifacts.iterdir()}
    assert written == {row["name"] for row in comparison["inputs"]} | {
        f"comparison.{suffix}" for suffix in ("json", "md", "html")
    }


def test_a_comparison_without_trials_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    runner = ROOT / "runners" / "compare_runs.py"
    done = run(runner, str(EXAMPLES / "baseline"), "empty", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert not (tmp_path / "artifacts" / "comparison.json").exists()
