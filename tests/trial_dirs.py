"""Builds one trial directory as a given version of Harbor writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from agent_logs import Json, Run, write_claude, write_text
from job_configs import as_written, since, trial_lock
from other_logs import converts, write_atif, write_codex, write_gemini
from trial_results import Trial, single, to_result, to_trial


def write_trial(job: Path, task: str, **fields: Any) -> Path:
    """Write one trial directory below `job` and give its path.

    `task` may carry an organisation (`acme/add-flag`); a directory is written without it.
    Fields are those of `Trial`: `version`, `attempt`; `reward` or `rewards` (several keys:
    reward.json), `reward_txt` (a reward.txt beside the reward.json); `state`, `exception`
    and `message`; `result=False` leaves out result.json though all else is there; `agent`,
    `model`, `import_path`, `kwargs`, `mcp_servers`; `log` and `run` (what the agent logged,
    None for nothing), `trajectory=False`; `steps` (0.5.0 or later); `source=None` for a task
    without a dataset; `suffix`, `started`, `seconds` (agent execution) and `artifacts` (text by
    absolute path in the sandbox).
    """
    trial = to_trial(job.name, task=task, **fields)
    if trial.steps and not since(trial.version, "0.5.0"):
        raise ValueError(f"Harbor {trial.version} has no steps")
    folder = job / trial.name
    _write_setup(folder, trial)
    if trial.state == "running":
        return folder
    if trial.steps:
        for step in trial.steps:
            run = trial.run_for(step.run, step.name)
            inner = folder / "steps" / step.name
            write_agent(inner / "agent", trial, run)
            rewards = step.rewards or single(step.reward)
            write_verifier(inner / "verifier", trial.version, rewards)
    elif trial.state != "setup_failed":
        write_agent(folder / "agent", trial, trial.run_for(trial.run))
        if trial.state != "cancelled":
            write_verifier(folder / "verifier", trial.version, trial.judged, trial.reward_txt)
    write_artifacts(folder, trial)
    if trial.result:
        result = to_result(trial)
        write_document(folder / "result.json", result)
        if result["exception_info"]:
            traceback = result["exception_info"]["exception_traceback"]
            write_text(folder / "exception.txt", traceback)
    return folder


def _write_setup(folder: Path, trial: Trial) -> None:
    version = trial.version
    write_document(folder / "config.json", as_written(version, trial.config, kind="trial"))
    if since(version, "0.17.0"):
        lock = trial_lock(version, trial.config, trial.task_name)
        write_document(folder / "lock.json", lock)
    if since(version, "0.1.13"):
        write_text(folder / "trial.log", log_lines(trial))
    if not trial.steps:
        (folder / "agent").mkdir()
        (folder / "verifier").mkdir()


def log_lines(trial: Trial) -> str:
    """Give the trial's log; from 0.2.0 it has the commands, the prompt with them until 0.18."""
    lines = ["Building environment"]
    if since(trial.version, "0.2.0"):
        prompt = trial.run_for(trial.run).instruction.rstrip("\n")
        said = "" if since(trial.version, "0.19.0") else f" '{prompt}'"
        lines += [f"Running command: {trial.agent} --print{said}", "Command outputs captured"]
    return "".join(line + "\n" for line in lines)


def write_agent(folder: Path, trial: Trial, run: Run) -> None:
    """Write the agent's folder: its logs, and what Harbor put around them."""
    version = trial.version
    folder.mkdir(parents=True, exist_ok=True)
    if trial.log is None:
        return
    if since(version, "0.2.0"):
        (folder / "setup").mkdir(exist_ok=True)
    else:
        _write_commands(folder, trial, run)
    if trial.log == "claude":
        write_claude(folder, run, sessions=since(version, "0.1.1"))
        if trial.mcp_servers and since(version, "0.1.44"):
            servers = {server["name"]: _connection(server) for server in trial.mcp_servers}
            write_document(folder / "sessions" / ".claude.json", {"mcpServers": servers})
    elif trial.log == "codex":
        write_codex(folder, run)
    elif trial.log == "gemini":
        own = "gemini-cli.trajectory.json" if since(version, "0.1.1") else "trajectory.json"
        write_gemini(folder, run, name=own)
    if trial.trajectory and converts(run, version, trial.agent):
        write_atif(folder, run, version, trial.agent)


def _connection(server: Json) -> Json:
    kept: Json = {key: server[key] for key in ("command", "args", "url") if key in server}
    return {"type": "http" if "url" in server else "stdio", **kept}


def _write_commands(folder: Path, trial: Trial, run: Run) -> None:
    """Write install.sh, setup/ and command-N/, the last of which ran the agent."""
    write_text(folder / "install.sh", "#!/bin/bash\nnpm install -g agent\n")
    write_text(folder / "setup" / "return-code.txt", "0")
    write_text(folder / "setup" / "stdout.txt", "installed\n")
    quoted = "'" + run.instruction.replace("'", "'\"'\"'") + "'"
    commands = [f"{trial.agent} -p {quoted} 2>&1 | tee /logs/agent/{trial.agent}.txt"]
    if trial.log == "claude" and since(trial.version, "0.1.1"):
        commands.insert(0, "mkdir -p $CLAUDE_CONFIG_DIR/projects/-app")
    for number, command in enumerate(commands):
        write_text(folder / f"command-{number}" / "command.txt", command)
        write_text(folder / f"command-{number}" / "return-code.txt", "0")


def write_verifier(
    folder: Path, version: str, rewards: dict[str, float] | None, reward_txt: float | None = None
) -> None:
    """Write the verifier's output; no rewards means that the tests left none."""
    folder.mkdir(parents=True, exist_ok=True)
    failed = rewards is None or rewards.get("reward", 1.0) < 1
    said, noise = f"{int(not failed)} passed, {int(failed)} failed\n", "1 warning\n"
    if since(version, "0.1.45"):
        write_text(folder / "test-stdout.txt", said + noise)
    else:
        write_text(folder / "test-stdout.txt", said)
        write_text(folder / "test-stderr.txt", noise)
    if rewards is None:
        return
    case = {"name": "test_flag", "status": "failed" if failed else "passed", "duration": 5}
    summary = {"tests": 1, "passed": int(not failed), "failed": int(failed), "pending": 0}
    summary |= {"skipped": 0, "other": 0, "start": 0, "stop": 1}
    results = {"tool": {"name": "pytest"}, "summary": summary, "tests": [case]}
    write_text(folder / "ctrf.json", json.dumps({"results": results}))
    if list(rewards) != ["reward"] or reward_txt is not None:
        write_text(folder / "reward.json", json.dumps(rewards))
    else:
        reward_txt = rewards["reward"]
    if reward_txt is not None:
        write_text(folder / "reward.txt", f"{reward_txt:g}\n")


def write_artifacts(folder: Path, trial: Trial) -> None:
    """Write collected files: under their whole path since 0.14.0, before that by name."""
    if not since(trial.version, "0.1.45") or trial.steps:
        return
    mirrored = since(trial.version, "0.14.0")
    rows = [("/logs/artifacts", "directory", "artifacts/logs/artifacts", "empty")]
    for path, text in sorted(trial.artifacts.items()):
        place = "artifacts" + path if mirrored else "artifacts/" + path.rpartition("/")[2]
        write_text(folder / place, text)
        rows.append((path, "file", place, "ok"))
    if not mirrored:
        rows = rows[1:]
    entries: list[Json] = []
    for source, kind, place, status in rows:
        entry: Json = {"source": source, "destination": place, "type": kind, "status": status}
        entry |= {"service": None} if mirrored else {}
        entries.append(entry | ({"exclude": []} if since(trial.version, "0.23.0") else {}))
    if entries:
        write_document(folder / "artifacts" / "manifest.json", entries)


def write_document(path: Path, value: Any) -> None:
    """Write JSON as Harbor does: indented by four, without a final line feed."""
    # What json indents itself it writes in Python, several times as slowly.
    write_text(path, msgspec.json.format(json.dumps(value, ensure_ascii=False), indent=4))
