"""What the agent was told: six places, best first, and which of them it was."""

from __future__ import annotations

import shlex
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_logs import INSTRUCTION, Run
from aggregated import aggregate, codes, the_trace, the_trial
from aggregated import edit_json as edit
from evaltrace.readers.harbor.commands import split_words
from evaltrace.readers.harbor.instruction import without_canary
from evaltrace.readers.harbor.tasks import find_task, short_uuid
from job_dirs import Step, write_job

CANARY = "<!-- harbor-canary GUID 26b5c67b -->\n\n"


def told(job: Path) -> tuple[str | None, str | None]:
    trace = the_trace(job)
    return trace["task_instruction"], trace["sources"].get("task_instruction")


def write_task(folder: Path, text: str = INSTRUCTION, toml: str = "") -> Path:
    folder.mkdir(parents=True)
    (folder / "instruction.md").write_text(text)
    (folder / "task.toml").write_text(toml)
    return folder


def bare_job(root: Path, **fields: Any) -> Path:
    """A job whose agent left no log at all."""
    return write_job(root, "job", [{"task": "add-flag", "log": None, **fields}], version="0.5.0")


# 1: the task's own directory.


def refer_to(job: Path, **reference: Any) -> None:
    def change(result: dict[str, Any]) -> None:
        result["task_id"] = reference

    edit(the_trial(job) / "result.json", change)


def test_directory_of_the_task_without_its_canary(tmp_path: Path) -> None:
    task = write_task(tmp_path / "task", CANARY + INSTRUCTION)
    job = write_job(tmp_path, "job", ["add-flag"])
    refer_to(job, path=str(task))
    trace = the_trace(job)
    assert trace["task_instruction"] == INSTRUCTION
    assert trace["sources"]["task_instruction"] == "instruction.md of the task"
    assert trace["agent_request"]["prompt"] == INSTRUCTION


def test_relative_path_starts_where_harbor_ran(tmp_path: Path) -> None:
    task = write_task(tmp_path / "bench" / "tasks" / "add-flag")
    job = bare_job(tmp_path / "moved")

    def change(result: dict[str, Any]) -> None:
        name = result["trial_name"]
        result["trial_uri"] = f"file://{tmp_path}/bench/jobs/job/{name}"
        result["config"]["trials_dir"] = "jobs/job"
        result["task_id"] = {"path": "tasks/add-flag"}

    edit(the_trial(job) / "result.json", change)
    assert told(job) == (INSTRUCTION, "instruction.md of the task")
    task.rename(tmp_path / "elsewhere")
    assert told(job) == (None, None)


def test_a_relative_path_is_never_looked_up_where_the_reader_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_task(tmp_path / "tasks" / "add-flag")
    monkeypatch.chdir(tmp_path)
    job = bare_job(tmp_path)
    refer_to(job, path="tasks/add-flag")
    assert told(job) == (None, None)

    def change(result: dict[str, Any]) -> None:
        result["config"]["task"]["download_dir"] = "."
        result["task_id"] = {"git_url": "https://x", "git_commit_id": None, "path": "tasks"}

    edit(the_trial(job) / "result.json", change)
    assert told(job) == (None, None)


def test_metadata_and_mcp_servers_of_the_task(tmp_path: Path) -> None:
    toml = (
        '[metadata]\ndifficulty = "hard"\ncategory = "bug-fix"\ntags = ["cli", 3]\n'
        '[[environment.mcp_servers]]\nname = "docs"\ntransport = "sse"\nurl = "http://d"\n'
    )
    job = write_job(tmp_path, "job", ["add-flag"])
    refer_to(job, path=str(write_task(tmp_path / "task", toml=toml)))
    trace = the_trace(job)
    assert trace["task"]["difficulty"] == "hard"
    assert trace["task"]["category"] == "bug-fix"
    assert trace["task"]["tags"] == ["cli", "3"]
    assert trace["tools"]["mcp_servers"] == [
        {
            "name": "docs",
            "status": None,
            "configured_in": ["task.toml: environment.mcp_servers"],
        }
    ]


def test_folder_of_tasks_has_what_the_recorded_place_lost(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["add-flag"])
    refer_to(job, path="/home/me/gone/add-flag")
    write_task(tmp_path / "moved" / "add-flag", toml='[metadata]\ncategory = "bug-fix"\n')
    without = the_trace(job)
    trace = the_trace(job, task_dirs=(str(tmp_path / "other"), str(tmp_path / "moved")))
    assert (without["task"]["category"], trace["task"]["category"]) == (None, "bug-fix")
    assert trace["sources"]["task_instruction"] == "instruction.md of the task"


def test_recorded_place_goes_before_a_folder_of_tasks(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["add-flag"])
    refer_to(job, path=str(write_task(tmp_path / "add-flag")))
    write_task(tmp_path / "moved" / "add-flag", "Something else.\n")
    assert the_trace(job, task_dirs=(str(tmp_path / "moved"),))["task_instruction"] == INSTRUCTION


def test_broken_task_toml_costs_the_metadata_only(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["add-flag"])
    refer_to(job, path=str(write_task(tmp_path / "task", toml="metadata = [")))
    document = aggregate(job)
    [trace] = document["traces"]
    assert trace["task_instruction"] == INSTRUCTION
    assert trace["task"]["category"] is None
    assert "malformed_toml" in codes(document)


def test_a_task_that_was_changed_since_does_not_rewrite_history(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["add-flag"])
    refer_to(job, path=str(write_task(tmp_path / "task", "Remove the --verbose flag.\n")))
    document = aggregate(job)
    [trace] = document["traces"]
    assert trace["task_instruction"] == INSTRUCTION
    where = "agent/sessions/projects: first user message, as sent"
    assert trace["sources"]["task_instruction"] == where
    assert "task_changed" in codes(document)


def test_an_instruction_inside_a_prompt_template_is_the_tasks_own(tmp_path: Path) -> None:
    run = Run(instruction=f"Be brief.\n\n{INSTRUCTION}\nUse the search tool.")
    job = write_job(tmp_path, "job", [{"task": "add-flag", "run": run}])
    refer_to(job, path=str(write_task(tmp_path / "task")))
    document = aggregate(job)
    [trace] = document["traces"]
    assert trace["task_instruction"] == INSTRUCTION
    assert trace["agent_request"]["prompt"] == run.instruction
    assert codes(document) == set()


# Caches: git and packages.


def reference_short_uuid(name: str) -> str:
    """The algorithm as the format reference has it."""
    is_url = name.lower().startswith(("http://", "https://"))
    space = uuid.NAMESPACE_URL if is_url else uuid.NAMESPACE_DNS
    alphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    n, out = uuid.uuid5(space, name).int, ""
    while n:
        n, d = divmod(n, len(alphabet))
        out += alphabet[d]
    return (out + alphabet[0] * 22)[:22][::-1]


@pytest.mark.parametrize("name", ["x", "https://github.com/o/r", "git_url='a' path=1", ""])
def test_short_uuid_is_the_librarys(name: str) -> None:
    assert short_uuid(name) == reference_short_uuid(name)
    assert len(short_uuid(name)) == 22


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # What shortuuid 1.0.13 gives for `shortuuid.uuid(name)`.
        ("example.com", "exu3DTbj2ncsn9tLdLWspw"),
        ("http://www.example.com/", "nzUQAfy7CW4Dd4kzLguPSV"),
        (
            "git_url='https://github.com/o/r.git' git_commit_id='69671fb' "
            "path=PosixPath('tasks/x')",
            "FVvx9S3tV7ynecsugcLTpC",
        ),
    ],
)
def test_short_uuid_of_known_names(name: str, expected: str) -> None:
    assert short_uuid(name) == expected


@pytest.mark.parametrize("commit", ["69671fb", None])
@pytest.mark.parametrize("cache", [".cache/harbor/tasks", ".cache/sandbox/tasks"])
def test_task_of_a_git_repository_lies_in_harbors_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commit: str | None, cache: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    key = f"git_url='https://github.com/o/r.git' git_commit_id={commit!r} path=PosixPath('t/x')"
    write_task(tmp_path / cache / reference_short_uuid(key) / "x")
    job = bare_job(tmp_path)
    refer_to(job, git_url="https://github.com/o/r.git", git_commit_id=commit, path="t/x")
    assert told(job) == (INSTRUCTION, "instruction.md of the task")


@pytest.mark.parametrize("ref", ["sha256:" + "a" * 64, "a" * 64, "latest", None])
def test_task_of_a_package_lies_in_harbors_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ref: str | None
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_task(tmp_path / ".cache/harbor/tasks/packages/acme/add-flag" / ("a" * 64))
    job = write_job(tmp_path, "job", [{"task": "acme/add-flag", "log": None}])
    edit(
        the_trial(job) / "lock.json",
        lambda lock: lock["task"].update(digest="sha256:" + "a" * 64),
    )
    refer_to(job, org="acme", name="add-flag", ref=ref)
    assert told(job) == (INSTRUCTION, "instruction.md of the task")


def test_a_package_of_a_running_trial_is_named_by_its_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_task(tmp_path / ".cache/harbor/tasks/packages/acme/add-flag" / ("a" * 64))
    spec = {"task": "acme/add-flag", "state": "running"}
    job = write_job(tmp_path, "job", [spec], finished=False)
    package = {"name": "acme/add-flag", "ref": "sha256:" + "a" * 64}
    edit(the_trial(job) / "config.json", lambda config: config.update(task=package))
    edit(the_trial(job) / "lock.json", lambda lock: lock["task"].update(name="add-flag"))
    trace = the_trace(job)
    assert (trace["task"]["org"], trace["task"]["name"]) == ("acme", "add-flag")
    assert trace["task_instruction"] == INSTRUCTION


def test_a_download_folder_replaces_the_cache(tmp_path: Path) -> None:
    key = "git_url='https://x' git_commit_id=None path=PosixPath('x')"
    write_task(tmp_path / "down" / reference_short_uuid(key) / "x")
    job = bare_job(tmp_path)
    refer_to(job, git_url="https://x", git_commit_id=None, path="x")
    edit(
        the_trial(job) / "result.json",
        lambda result: result["config"]["task"].update(download_dir=str(tmp_path / "down")),
    )
    assert told(job)[1] == "instruction.md of the task"


@pytest.mark.parametrize(
    "reference",
    [
        {"path": "~nobody-of-that-name/x"},
        {"path": "a\0b"},
        {"path": "/" + "x" * 5000},
        {"org": "../../..", "name": "etc", "ref": "x"},
        {"git_url": "x", "path": None},
        {},
    ],
)
def test_odd_references_find_nothing(reference: dict[str, Any]) -> None:
    assert find_task(reference, {}, "file://[", None) is None


# 2 and 3: the agent's own log, as sent.


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ({"log": "claude", "trajectory": False}, "agent/sessions"),
        ({"log": "codex", "agent": "codex", "model": "openai/gpt-5.2-codex"}, "agent/sessions"),
        ({"log": "atif", "agent": "goose"}, "agent/trajectory.json"),
        ({"log": "atif", "agent": "unheard-of"}, "agent/trajectory.json"),
        ({"log": "gemini", "agent": "gemini-cli"}, "agent/"),
    ],
)
def test_first_user_message_of_the_log(tmp_path: Path, spec: dict[str, Any], where: str) -> None:
    text, found = told(write_job(tmp_path, "job", [{"task": "add-flag", **spec}]))
    assert text == INSTRUCTION
    assert found is not None
    assert found.startswith(where)
    assert found.endswith(": first user message, as sent")


def test_trajectory_tells_what_a_claude_stream_leaves_out(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["add-flag"])
    [session] = job.glob("*/agent/sessions/projects/*/*.jsonl")
    session.unlink()
    assert told(job) == (INSTRUCTION, "agent/trajectory.json: first user message, as sent")


def test_the_canary_that_was_sent_is_in_the_request_only(tmp_path: Path) -> None:
    spec = {"task": "add-flag", "run": Run(instruction=CANARY + INSTRUCTION)}
    trace = the_trace(write_job(tmp_path, "job", [spec], version="0.1.18"))
    assert trace["task_instruction"] == INSTRUCTION
    assert trace["agent_request"]["prompt"] == CANARY + INSTRUCTION


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<!-- canary -->\nDo it.", "Do it."),
        ("# terminal-bench-canary GUID x\n\nDo it.", "Do it."),
        ("<!-- canary 1 -->\n<!-- canary 2 -->\nDo it.", "Do it."),
        ("<!-- a note -->\nDo it.", "<!-- a note -->\nDo it."),
        ("<!-- a note -->\n<!-- canary -->", "<!-- a note -->\n<!-- canary -->"),
        ("# Title\nFree the canary.", "# Title\nFree the canary."),
        ("# canary", ""),
        ("", ""),
    ],
)
def test_leading_canary_comments_are_left_out(text: str, expected: str) -> None:
    assert without_canary(text) == expected


# 4: the recorded command (to 0.1.45).


@pytest.mark.parametrize("version", ["0.1.0", "0.1.18", "0.1.45"])
def test_command_with_its_quotes(tmp_path: Path, version: str) -> None:
    text = "Don't \"break\" it;\n\n- keep $HOME\n- it's fine\n"
    spec = {"task": "add-flag", "trajectory": False, "run": Run(instruction=text)}
    job = write_job(tmp_path, "job", [spec], version=version)
    for session in job.glob("*/agent/sessions/projects/*/*.jsonl"):
        session.unlink()
    number = 0 if version == "0.1.0" else 1
    assert "'\"'\"'" in (the_trial(job) / f"agent/command-{number}/command.txt").read_text()
    trace = the_trace(job)
    assert trace["task_instruction"] == trace["agent_request"]["prompt"] == text
    assert trace["sources"]["task_instruction"] == f"agent/command-{number}/command.txt"
    assert trace["agent_request"]["argv"] == ["claude-code", "-p", "{prompt}"]


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from(" \n\t'\"\\ab;$|é#\xa0"), max_size=14))
def test_words_of_a_command_are_those_of_shlex(text: str) -> None:
    try:
        expected = shlex.split(text)
    except ValueError:
        expected = None
    assert split_words(text) == expected


def test_commands_may_lie_in_a_folder_of_their_own(tmp_path: Path) -> None:
    job = bare_job(tmp_path)
    folder = the_trial(job) / "agent" / "commands" / "command-0"
    folder.mkdir(parents=True)
    (folder / "command.txt").write_text("gemini -p 'Do it.' -y 2>&1 | tee /logs/agent/g.txt")
    trace = the_trace(job)
    assert trace["task_instruction"] == "Do it."
    assert trace["agent_request"]["argv"] == ["gemini", "-p", "{prompt}", "-y"]


# 5: trial.log (0.2.0 and later).


def log_job(root: Path, *commands: str, **fields: Any) -> Path:
    job = bare_job(root, **fields)
    lines = ["Building environment"]
    for command in ("mkdir -p /logs/agent", *commands):
        lines += [f"Running command: {command}", "Command outputs captured"]
    (the_trial(job) / "trial.log").write_text("\n".join([*lines, "Collecting artifacts\n"]))
    return job


@pytest.mark.parametrize(
    ("command", "prompt", "argv"),
    [
        (
            "if [ -s ~/.nvm/nvm.sh ]; then . ~/.nvm/nvm.sh; fi; "
            "codex exec --json -- '- it'\"'\"'s\n- two;' 2>&1 </dev/null",
            "- it's\n- two;",
            ["codex", "exec", "--json", "--", "{prompt}"],
        ),
        (
            "export A=1; CLAUDE=x claude --print -- 'Do it.' 2>&1",
            "Do it.",
            ["claude", "--print", "--", "{prompt}"],
        ),
        (
            "claude -p '> quoted\n| a | b |' --model m 2>&1",
            "> quoted\n| a | b |",
            ["claude", "-p", "{prompt}", "--model", "m"],
        ),
        (
            "mini-swe-agent --yolo --task='Do it.' --output=/x 2>&1",
            "Do it.",
            ["mini-swe-agent", "--yolo", "--task={prompt}", "--output=/x"],
        ),
        (
            "qwen --yolo --prompt 'a' 2>&1",
            "a",
            ["qwen", "--yolo", "--prompt", "{prompt}"],
        ),
    ],
)
def test_running_command_of_the_trial_log(
    tmp_path: Path, command: str, prompt: str, argv: list[str]
) -> None:
    job = log_job(tmp_path, f"{command} | tee /logs/agent/x.txt")
    trace = the_trace(job)
    assert trace["task_instruction"] == prompt
    assert trace["sources"]["task_instruction"] == "trial.log: Running command"
    assert trace["agent_request"] == {"prompt": prompt, "argv": argv, "system_prompt": None}


def test_a_prompt_that_came_by_a_variable_is_not_the_variable(tmp_path: Path) -> None:
    # Claude Code since 0.19.0.
    command = (
        'export PATH="$HOME/.local/bin:$PATH"; text_4e="$TEXT_4E"; unset TEXT_4E; '
        'printf "%s" "$text_4e" | claude --verbose --print 2>&1 | tee /logs/agent/claude-code.txt'
    )
    trace = the_trace(log_job(tmp_path, command))
    assert trace["task_instruction"] is None
    assert trace["agent_request"]["argv"] == ["claude", "--verbose", "--print"]
    trace = the_trace(log_job(tmp_path / "b", 'x -p "$PROMPT" 2>&1 | tee /logs/agent/x.txt'))
    assert trace["task_instruction"] is None


def test_a_command_that_was_cut_off_tells_nothing(tmp_path: Path) -> None:
    trace = the_trace(log_job(tmp_path, "x -p 'Do | tee /logs/agent/x.txt"))
    assert trace["task_instruction"] is None
    assert trace["agent_request"] is None


def test_of_several_tries_the_last_command_counts(tmp_path: Path) -> None:
    commands = [f"x -p 'Try {n}.' | tee /logs/agent/x.txt" for n in (1, 2)]
    assert told(log_job(tmp_path, *commands))[0] == "Try 2."


def test_commands_of_the_steps_are_joined(tmp_path: Path) -> None:
    commands = [f"x -p 'Do {name}.' | tee /logs/agent/x.txt" for name in ("a", "b")]
    steps = [Step(name="a"), Step(name="b")]
    assert told(log_job(tmp_path, *commands, steps=steps))[0] == (
        "== step a ==\nDo a.\n\n== step b ==\nDo b."
    )


# 6: notes of agents.


@pytest.mark.parametrize(
    "name", ["problem_statement.md", "instruction.txt", "episode-0/prompt.txt"]
)
def test_notes_of_agents(tmp_path: Path, name: str) -> None:
    job = bare_job(tmp_path)
    note = the_trial(job) / "agent" / name
    note.parent.mkdir(exist_ok=True)
    note.write_text(INSTRUCTION)
    assert told(job) == (INSTRUCTION, f"agent/{name}")


def test_nowhere_means_null(tmp_path: Path) -> None:
    trace = the_trace(bare_job(tmp_path))
    assert (trace["task_instruction"], trace["agent_request"]) == (None, None)
    assert "task_instruction" not in trace["sources"]


# Several steps.


def test_steps_of_the_tasks_directory_in_its_order(tmp_path: Path) -> None:
    task = tmp_path / "task"
    for name in ("second", "first", "third"):
        (task / "steps" / name).mkdir(parents=True)
        (task / "steps" / name / "instruction.md").write_text(f"{CANARY}Do {name}.")
    names = ("first", "second", "third")
    toml = "".join(f'[[steps]]\nname = "{name}"\n' for name in names)
    (task / "task.toml").write_text(toml)
    # The third step was not reached.
    runs = [Step(name=n, run=Run(instruction=f"Do {n}.")) for n in names[:2]]
    job = write_job(tmp_path, "job", [{"task": "add-flag", "steps": runs}])
    refer_to(job, path=str(task))
    document = aggregate(job)
    [trace] = document["traces"]
    assert trace["task_instruction"] == "\n\n".join(f"== step {n} ==\nDo {n}." for n in names)
    assert trace["sources"]["task_instruction"] == "steps/*/instruction.md of the task"
    assert trace["agent_request"]["prompt"].count("== step") == 2
    assert codes(document) == set()


def test_prompts_of_the_steps_logs_are_joined(tmp_path: Path) -> None:
    steps = [Step(name=n, run=Run(instruction=f"Do {n}.")) for n in ("a", "b")]
    job = write_job(tmp_path, "job", [{"task": "add-flag", "steps": steps}])
    text, where = told(job)
    assert text == "== step a ==\nDo a.\n\n== step b ==\nDo b."
    assert where == (
        "steps/a/agent/sessions/projects: first user message, as sent; "
        "steps/b/agent/sessions/projects: first user message, as sent"
    )


def test_an_endless_instruction_is_cut_and_says_so(tmp_path: Path) -> None:
    spec = {"task": "add-flag", "run": Run(instruction="x" * 1_000_100)}
    trace = the_trace(write_job(tmp_path, "job", [spec], trajectory=False))
    assert len(trace["task_instruction"]) < 1_000_100
    assert trace["task_instruction"] == trace["agent_request"]["prompt"]
    cut = {row["field"]: row["original_length"] for row in trace["truncated"]}
    assert cut["task_instruction"] == cut["agent_request.prompt"] == 1_000_100
