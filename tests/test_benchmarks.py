"""The made-up job directories of the benchmarks: the same each time, and what they say they are."""

import sys
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from aggregated import aggregate
from evaltrace import violations

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
job_directories = import_module("job_directories")
planned_trials = import_module("planned_trials")
rows = import_module("suite.rows")
timing = import_module("suite.timing")
plain_script = import_module("suite.plain_script")
run = import_module("run")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("first", 3), ("second", 3), ("other", 4)):
        size = job_directories.write_jobs(tmp_path / name, kind="small", trials=12, seed=seed)
        assert size == sum(map(len, contents(tmp_path / name).values()))
    assert contents(tmp_path / "first") == contents(tmp_path / "second")
    assert contents(tmp_path / "first") != contents(tmp_path / "other")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Aggregate 120 small trials."""
    folder = tmp_path_factory.mktemp("small") / "jobs"
    job_directories.write_jobs(folder, kind="small", trials=120, seed=3)
    return aggregate(folder)


def statuses(document: dict[str, Any]) -> dict[str, str]:
    return {trace["task_id"]: trace["status"] for trace in document["traces"]}


def expected_statuses(trials: int) -> dict[str, str]:
    planned = planned_trials.plan_trials(trials, 3)
    return {trial.name: planned_trials.expected_status(trial) for trial in planned}


def test_statuses_are_those_planned(tmp_path: Path, small: dict[str, Any]) -> None:
    assert statuses(small) == expected_statuses(120)
    job_directories.write_jobs(tmp_path / "jobs", kind="full", trials=12, seed=3)
    assert statuses(aggregate(tmp_path / "jobs")) == expected_statuses(12)


def test_only_noise_and_cut_logs_are_reported(small: dict[str, Any]) -> None:
    planned = planned_trials.plan_trials(120, 3)
    assert {(row["code"], row["path"].split("/")[1]) for row in small["problems"]} == {
        ("not_json_lines", trial.name)
        for trial in planned
        if trial.noisy or trial.fault == "cut_log"
    }


def test_faults_have_their_shares() -> None:
    planned = planned_trials.plan_trials(10_000, 1)
    faults = Counter(trial.fault for trial in planned)
    assert {name: round(count / 100) for name, count in faults.items() if name} == {
        "timeout": 3,
        "verifier_timeout": 1,
        "no_result": 1,
        "cut_log": 1,
        "no_reward": 1,
    }
    assert round(sum(trial.noisy for trial in planned) / 1000) == 1


def test_plain_script_makes_the_traces_that_ours_are_compared_with(tmp_path: Path) -> None:
    job_directories.write_jobs(tmp_path / "jobs", kind="small", trials=40, seed=3)
    ours = {trace["task_id"]: trace for trace in aggregate(tmp_path / "jobs")["traces"]}
    checked = 0
    for config in (tmp_path / "jobs").glob("*/*/config.json"):
        plain = plain_script.read_plainly(config.parent, events=True)
        assert not violations(plain)
        own = ours[plain["task_id"]]
        if own["agent_response"] is None or plain["agent_response"] is None or own["error"]:
            continue
        checked += 1
        for field in ("test_reward", "test_output", "task_instruction", "status"):
            assert plain[field] == own[field]
        assert plain["metrics"]["tokens"] == own["metrics"]["tokens"]
        counts = {row["name"]: row["count"] for row in own["tools"]["calls"]}
        assert {row["name"]: row["count"] for row in plain["tools"]["calls"]} == counts
    assert checked > 20


@pytest.mark.parametrize(
    ("figure", "limit", "sense", "verdict"),
    [
        (0.3, 0.25, "at most", "**missed**"),
        (0.25, 0.25, "at most", "met"),
        (9.0, 10, "at least", "**missed**"),
        (9.0, None, "at most", "not judged"),
        (None, 0.25, "at most", "not measured"),
    ],
)
def test_verdicts(figure: float | None, limit: float | None, sense: str, verdict: str) -> None:
    assert rows.Row("x", figure, limit, "s", sense).verdict == verdict


def test_table_is_put_between_the_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- measured: start -->\nold\n<!-- measured: end -->\nafter\n")
    table = rows.render_rows([rows.Row("a", 1.5, 2, "x"), rows.unmeasured("b", "no | such thing")])
    run.write_page(page, table + "\n")
    assert page.read_text() == (
        "before\n<!-- measured: start -->\n"
        "| measure | limit | measured | | |\n"
        "|---|---|---|---|---|\n"
        "| a | at most 2 x | 1.5 x | met |  |\n"
        "| b |  | — | not measured | no \\| such thing |\n"
        "<!-- measured: end -->\nafter\n"
    )


@pytest.mark.filterwarnings("ignore:.*fork")
def test_what_fails_in_a_measured_process_is_told() -> None:
    with pytest.raises(timing.Failed, match="no such thing"):
        timing.in_fork(lambda: {}["no such thing"])()
    with pytest.raises(timing.Failed, match="exit code 3"):
        timing.in_fork(lambda: sys.exit(3))()
    with pytest.raises(timing.Failed) as failure:
        timing.run_command(sys.executable, "-c", "import sys; sys.exit('Error: too small')")
    assert failure.value.reason == "Error: too small"


def test_memory_of_a_command_is_its_own() -> None:
    ballast = bytearray(150_000_000)
    little = timing.run_command(sys.executable, "-c", "pass")
    much = timing.run_command(sys.executable, "-c", "bytes(range(250)) * 400_000")
    assert len(ballast) / 1e6 > little.peak
    assert much.peak - little.peak > 80
