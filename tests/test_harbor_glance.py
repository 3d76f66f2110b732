"""What the walk sees of a finished trial is what its files say, and else it sees nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aggregated import CORPUS, edit_json, the_trial
from evaltrace.plan import plan_aggregation
from evaltrace.readers.harbor import glance_at, open_trial, read_job, recognise
from evaltrace.source import Source
from job_dirs import write_job

VERSIONS = ["0.1.0", "0.1.45", "0.3.0", "0.6.2", "0.17.1", "0.25.0"]


def look_at(trial: Path) -> Any:
    return glance_at(Source(trial, boundary=trial.parent, label=f"job/{trial.name}"))


def orders(trial: Any) -> tuple[Any, ...]:
    facts = (trial.task_name, trial.name, trial.trace_id, trial.started, trial.finished)
    return (*facts, trial.configuration)


def glances_agree(job: Path) -> int:
    """Hold each glance against the trial's files, and count them."""
    read = read_job(Source(job, label=job.name))
    seen = 0
    for folder in sorted(path for path in job.iterdir() if path.is_dir()):
        glance = look_at(folder)
        if glance is not None:
            seen += 1
            assert recognise(Source(folder)) == "trial"
            files = open_trial(folder, read, f"{job.name}/{folder.name}")
            assert orders(glance.in_job(read)) == orders(files)
    return seen


@pytest.mark.parametrize("version", VERSIONS)
def test_a_glance_says_what_the_files_say(tmp_path: Path, version: str) -> None:
    tasks: list[Any] = ["acme/add-flag", {"task": "fix-bug", "agent": "codex"}]
    tasks.append({"task": "no-reward", "reward": 0, "kwargs": {"max_turns": 3}})
    assert glances_agree(write_job(tmp_path, "job", tasks, version=version)) == 3


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real jobs is not here")
def test_a_glance_says_what_the_files_of_real_trials_say() -> None:
    jobs = {path.parent.parent for path in CORPUS.glob("*/**/result.json")}
    assert sum(map(glances_agree, sorted(jobs))) > 20


def test_a_job_without_an_id_lends_its_name(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["add-flag"])
    (job / "result.json").unlink()
    edit_json(the_trial(job) / "result.json", lambda result: result["config"].pop("job_id", None))
    assert glances_agree(job) == 1


def _write(text: str) -> Callable[[Path], object]:
    return lambda trial: (trial / "result.json").write_text(text)


def _edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    return lambda trial: edit_json(trial / "result.json", change)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda trial: (trial / "result.json").unlink(),
        lambda trial: (trial / "link").symlink_to(trial / "trial.log"),
        lambda trial: (trial / "link").symlink_to("/etc"),
        _write(""),
        _write('{"task_name": "a", "trial_name": "b", "config": {"agent": {}}'),
        _write('{"task_name": "a", "trial_name": "b", "config": 3}'),
        _write('{"config": {"agent": ' + "[" * 5000 + "]" * 5000 + "}}"),
        _edit(lambda result: result.pop("config")),
        _edit(lambda result: result.pop("task_name")),
        _edit(lambda result: result.update(trial_name=None)),
        _edit(lambda result: result.update(cost=float("nan"))),
    ],
)
def test_what_is_not_sure_takes_more_than_a_glance(
    tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    trial = the_trial(write_job(tmp_path, "job", ["add-flag"]))
    spoil(trial)
    assert look_at(trial) is None


def test_a_directory_in_the_place_of_the_result_is_for_its_reader_to_report(
    tmp_path: Path,
) -> None:
    trial = the_trial(write_job(tmp_path, "job", ["add-flag"]))
    (trial / "result.json").unlink()
    (trial / "result.json").mkdir()
    source = Source(trial)
    assert glance_at(source) is None
    assert source.problems == []


def test_a_link_out_of_one_of_many_trials_is_still_a_problem_of_the_job(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["add-flag", "fix-bug"])
    linked = next(job.glob("fix-bug__*"))
    (linked / "passwords").symlink_to("/etc/passwd")
    plan = plan_aggregation([job])
    assert len(plan.entries) == 2
    found = [(problem.code, problem.path) for problem in plan.problems]
    assert found == [("link_outside", f"job/{linked.name}/passwords")]


def test_a_job_is_no_finished_trial(tmp_path: Path) -> None:
    assert look_at(write_job(tmp_path, "job", ["add-flag"])) is None
