from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aggregated import CORPUS
from job_dirs import CODESEARCH, Run, write_job, write_trial

STATES = CORPUS / "harbor-states"
VERSIONS = [
    "0.1.0",
    "0.1.13",
    "0.1.18",
    "0.1.40",
    "0.1.45",
    "0.2.0",
    "0.5.0",
    "0.6.2",
    "0.7.1",
    "0.17.1",
    "0.21.0",
    "0.25.0",
]
MIXED: list[Any] = [
    "add-flag",
    "add-flag",
    {"task": "acme/slow", "exception": "AgentTimeoutError", "reward": 0.0},
    {"task": "no-reward", "state": "verifier_failed"},
    {"task": "no-setup", "state": "setup_failed"},
    {"task": "stopped", "state": "cancelled"},
    {"task": "going", "state": "running"},
    {"task": "many", "rewards": {"reward": 0.5, "f2p": 0.25}, "reward_txt": 0.75},
    {"task": "inline", "run": Run(subagent="inline", mcp_calls=(("codesearch/find", True),))},
    {"task": "apart", "run": Run(subagent="folder", failure="API Error: 429")},
    {"task": "cx", "agent": "codex", "log": "codex", "model": "openai/gpt-5.2-codex"},
    {"task": "gm", "agent": "gemini-cli", "log": "gemini", "model": "google/gemini-3-flash"},
]


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def documents(path: Path) -> list[Any]:
    if path.suffix == ".json":
        return [read(path)]
    if path.suffix == ".jsonl" or path.name in ("claude-code.txt", "codex.txt"):
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return []


def keys_below(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"{path}.{key}"
            yield from keys_below(item, f"{path}.{key}")


@pytest.fixture
def states() -> Path:
    if not STATES.is_dir():
        pytest.skip("no corpus beside the project")
    return STATES


def test_0_25_has_the_keys_of_a_real_job(tmp_path: Path, states: Path) -> None:
    kwargs = {"version": "2.1.0"}
    job = write_job(tmp_path, "baseline", ["add-flag", "add-flag"], kwargs=kwargs)
    real, trial = states / "baseline", sorted(job.glob("add-flag__*"))[0]
    real_trial = sorted(real.glob("add-flag__*"))[0]
    result = read(real_trial / "result.json")
    assert list(keys_below(read(trial / "result.json"))) == list(keys_below(result))
    assert list(read(job / "result.json")) == list(read(real / "result.json"))
    assert list(read(job / "lock.json")) == list(read(real / "lock.json"))
    assert list(read(trial / "lock.json")) == list(read(real_trial / "lock.json"))
    stats = read(real / "result.json")["stats"]
    assert list(read(job / "result.json")["stats"]) == list(stats)
    # That job ran quietly, and in an environment of its own.
    own = set(read(real / "config.json")) - set(read(job / "config.json"))
    assert own == {"quiet", "environment"}
    own = set(read(real_trial / "config.json")) - set(read(trial / "config.json"))
    assert own == {"environment"}


def test_0_1_18_has_the_keys_and_files_of_a_real_job(tmp_path: Path, states: Path) -> None:
    job = write_job(tmp_path, "old018", ["add-flag"], version="0.1.18", source=None)
    real = states / "old018"
    for name in ("config.json", "*/config.json", "*/result.json"):
        ours, theirs = read(only(job, name)), read(only(real, name))
        assert list(keys_below(ours)) == list(keys_below(theirs))
    assert list(read(job / "result.json")) == list(read(real / "result.json"))

    def files(root: Path) -> set[str]:
        paths = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
        return {path.name for path in paths if path.suffix != ".jsonl"}

    assert files(job) == files(real)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_document_is_json(tmp_path: Path, version: str) -> None:
    job = write_job(tmp_path, "mixed", MIXED, version=version, finished=False, plan=["later"])
    counts = [len(documents(path)) for path in job.rglob("*") if path.is_file()]
    assert sum(counts) > 60


@pytest.mark.parametrize("version", ["0.1.0", "0.25.0"])
def test_the_same_arguments_give_the_same_bytes(tmp_path: Path, version: str) -> None:
    def content(root: Path) -> dict[str, bytes]:
        job = write_job(root, "mixed", MIXED, version=version)
        return {
            path.relative_to(job).as_posix(): path.read_bytes()
            for path in job.rglob("*")
            if path.is_file()
        }

    assert content(tmp_path / "one") == content(tmp_path / "two")


@pytest.mark.parametrize(
    ("version", "began"),
    [
        ("0.1.18", "2026-01-05T10:00:00.250000"),
        ("0.1.40", "2026-01-05T10:00:00.250000Z"),
    ],
)
def test_trial_times_became_utc(tmp_path: Path, version: str, began: str) -> None:
    trial = write_trial(tmp_path, "add-flag", version=version)
    assert read(trial / "result.json")["started_at"] == began


@pytest.mark.parametrize(
    ("version", "counts"),
    [
        ("0.1.0", (15, 2000, 58, 0.00564)),
        ("0.1.18", (2525, 2500, 60, None)),
        ("0.2.0", (3115, 2000, 58, None)),
        ("0.25.0", (3115, 2000, 58, 0.00564)),
    ],
)
def test_tokens_are_reckoned_as_the_version_did(
    tmp_path: Path, version: str, counts: tuple[float | None, ...]
) -> None:
    found = read(write_trial(tmp_path, "add-flag", version=version) / "result.json")["agent_result"]
    names = ("n_input_tokens", "n_cache_tokens", "n_output_tokens", "cost_usd")
    assert tuple(found[name] for name in names) == counts


def test_a_killed_job_leaves_stale_counts_and_no_result(tmp_path: Path) -> None:
    going = {"task": "b", "state": "running"}
    job = write_job(tmp_path, "killed", ["a", going], finished=False, plan=["c", "d"])
    result = read(job / "result.json")
    counts = ("n_completed_trials", "n_running_trials", "n_pending_trials")
    assert [result["stats"][name] for name in counts] == [1, 1, 2]
    assert (result["finished_at"], result["n_total_trials"]) == (None, 4)
    assert [lock["task"]["name"] for lock in read(job / "lock.json")["trials"]] == list("abcd")
    trial = only(job, "b__*")
    assert {path.name for path in trial.iterdir() if path.is_file()} == {
        "config.json",
        "lock.json",
        "trial.log",
    }
    assert list((trial / "agent").iterdir()) == []


def test_an_old_job_that_had_no_result_yet_has_no_result_file(tmp_path: Path) -> None:
    going: list[Any] = [{"task": "a", "state": "running"}]
    old = write_job(tmp_path, "old", going, version="0.1.18", finished=False)
    new = write_job(tmp_path, "new", going, version="0.6.2", finished=False)
    assert not (old / "result.json").exists()
    assert read(new / "result.json")["stats"]["n_running_trials"] == 1


def test_the_endings_differ_in_what_they_leave(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", MIXED)

    def left(task: str) -> tuple[str | None, bool, bool, bool]:
        trial = only(job, f"{task}__*")
        result = read(trial / "result.json")
        error = result["exception_info"] and result["exception_info"]["exception_type"]
        logs = (trial / "agent" / "claude-code.txt").exists()
        return error, logs, result["agent_result"] is not None, bool(result["verifier_result"])

    assert left("slow") == ("AgentTimeoutError", True, True, True)
    assert left("no-reward") == ("RewardFileNotFoundError", True, True, False)
    assert left("no-setup") == ("AgentSetupTimeoutError", False, False, False)
    assert left("stopped") == ("CancelledError", True, True, False)
    assert (only(job, "slow__*") / "exception.txt").exists()


@pytest.mark.parametrize(("version", "reward"), [("0.6.2", 0.75), ("0.7.1", 0.5)])
def test_which_reward_file_wins_depends_on_the_version(
    tmp_path: Path, version: str, reward: float
) -> None:
    trial = write_trial(tmp_path, "many", version=version, reward=0.5, reward_txt=0.75)
    assert sorted(path.name for path in (trial / "verifier").glob("reward.*")) == [
        "reward.json",
        "reward.txt",
    ]
    assert read(trial / "result.json")["verifier_result"] == {"rewards": {"reward": reward}}


def test_steps_keep_their_results_and_exceptions_apart(tmp_path: Path) -> None:
    steps = [{"name": "find"}, {"name": "fix", "reward": 0.0, "exception": "ApiRateLimitError"}]
    trial = write_trial(tmp_path, "acme/two", version="0.5.0", steps=steps)
    result = read(trial / "result.json")
    assert (result["agent_result"], result["exception_info"]) == (None, None)
    assert result["verifier_result"] == {"rewards": {"reward": 0.5}}
    assert result["step_results"][1]["exception_info"]["exception_type"] == "ApiRateLimitError"
    assert not (trial / "agent").exists()
    assert (trial / "steps" / "fix" / "agent" / "claude-code.txt").exists()


def test_attempts_and_arms_get_directories_of_their_own(tmp_path: Path) -> None:
    treated = {"task": "add-flag", "mcp_servers": [CODESEARCH]}
    job = write_job(tmp_path, "job", ["add-flag", "add-flag", treated])
    assert len(list(job.glob("add-flag__*"))) == 3
    config = read(job / "config.json")
    assert (config["n_attempts"], len(config["agents"])) == (2, 2)


@pytest.mark.parametrize(
    "fields",
    [{"version": "0.6.2", "mcp_servers": [CODESEARCH]}, {"version": "0.4.0", "steps": [{}]}],
)
def test_what_a_version_did_not_have_is_refused(tmp_path: Path, fields: dict[str, Any]) -> None:
    fields = fields | ({"steps": [{"name": "one"}]} if "steps" in fields else {})
    with pytest.raises(ValueError, match="has no"):
        write_trial(tmp_path, "add-flag", **fields)


@pytest.mark.parametrize(("kind", "place"), [("inline", "-app"), ("folder", "-app/*/subagents")])
def test_subagents_lie_beside_the_session_or_below_it(
    tmp_path: Path, kind: Any, place: str
) -> None:
    trial = write_trial(tmp_path, "add-flag", run=Run(subagent=kind))
    log = only(trial, f"agent/sessions/projects/{place}/agent-*.jsonl")
    assert all(event["isSidechain"] for event in documents(log))
