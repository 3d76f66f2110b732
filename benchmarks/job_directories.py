"""Writes seeded job directories as Harbor 0.25 leaves them, for benchmarks.

    python benchmarks/job_directories.py FOLDER --kind full --trials 1000

Two jobs, `baseline` and `with-mcp`, five attempts at each task. A `full` trial has about 1 MB,
a `small` one about 73 KB. Some trials are damaged: 4 % ended in an exception, 1 % have no
result.json, 1 % a log cut in its last line, 1 % no reward; 10 % of the logs have a line that is
no JSON. The same seed gives the same bytes.
"""

from __future__ import annotations

import argparse
import difflib
from datetime import timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple

from agent_runs import Json, Run, indented, make_run, to_session, to_stream, to_trajectory
from harbor_documents import SERVER, START, job_documents, sparse_config, trial_lock, trial_result
from planned_trials import JOBS, Planned, plan_trials
from verifier_output import to_ctrf, to_stdout
from written_text import Texts

Kind = Literal["full", "small"]


class Size(NamedTuple):
    """Means of a kind: turns of a run, characters of an answer and of the test output."""

    turns: float
    answer: float
    stdout: float


SIZES = {"full": Size(54, 1310, 24_500), "small": Size(5.2, 430, 1_700)}


def write_jobs(folder: Path, *, kind: Kind, trials: int, seed: int = 1) -> int:
    """Write the job directories below a new folder, and give their size in bytes."""
    texts, size = _texts(seed), 0
    planned = plan_trials(trials, seed)
    for job in JOBS:
        own = [trial for trial in planned if trial.job == job]
        if not own:
            continue
        (folder / job).mkdir(parents=True)
        rows = [_write_trial(folder / job, trial, SIZES[kind], texts, seed) for trial in own]
        size += sum(written for _, written in rows)
        results = [result for result, _ in rows if result]
        documents = job_documents(job, own, results)
        files = {name: indented(document, 4) for name, document in documents.items()}
        size += _write_files(folder / job, files | {"job.log": _LOG.encode() * len(own)})
    return size


@cache
def _texts(seed: int) -> Texts:
    return Texts(seed)


def _write_trial(
    job: Path, trial: Planned, size: Size, texts: Texts, seed: int
) -> tuple[Json | None, int]:
    """Write a trial; give its result, None where it has none, and its size."""
    rng = Random(f"{seed}/{trial.job}/{trial.name}/run")
    started = START + timedelta(minutes=3 * trial.attempt, seconds=rng.random() * 60)
    servers = ("codesearch",) if trial.job == "with-mcp" else ()
    begun = started + timedelta(seconds=20)
    run = make_run(rng, texts, begun, turns=size.turns, answer=size.answer, servers=servers)
    files = _agent_files(trial, run, rng)
    files |= _verifier_files(trial, rng, texts, size.stdout)
    files |= _artifacts(run, collected=rng.random() < 0.5)
    result = trial_result(trial, run, started)
    failure = result["exception_info"]
    files["config.json"] = indented(sparse_config(trial), 4)
    files["lock.json"] = indented(trial_lock(trial), 4)
    files["trial.log"] = _LOG.encode()
    if trial.fault != "no_result":
        files["result.json"] = indented(result, 4)
        if failure:
            files["exception.txt"] = failure["exception_traceback"].encode()
    written = _write_files(job / trial.name, files)
    return (None if trial.fault == "no_result" else result), written


_LOG = """Building environment
Running command: mkdir -p $CLAUDE_CONFIG_DIR/projects/-app
Command outputs captured
Running command: claude --verbose --output-format=stream-json --print 2>&1 | tee claude-code.txt
Command outputs captured
Collecting main service artifacts
"""


def _write_files(folder: Path, files: dict[str, bytes]) -> int:
    for name in sorted({name.rpartition("/")[0] for name in files}):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return sum(map(len, files.values()))


def _agent_files(trial: Planned, run: Run, rng: Random) -> dict[str, bytes]:
    lines = to_stream(run, ended=trial.fault not in ("timeout", "no_result"))
    if trial.noisy:
        lines.insert(rng.randrange(len(lines)), b"npm warn deprecated inflight@1.0.6: leaks memory")
    log = b"\n".join(lines) + b"\n"
    if trial.fault == "cut_log":
        log = log[: -(len(lines[-1]) // 2)]
    session = f"agent/sessions/projects/-app/{run.session}.jsonl"
    files = {"agent/claude-code.txt": log, session: b"\n".join(to_session(run)) + b"\n"}
    if run.servers:
        servers = {"mcpServers": {SERVER["name"]: {"type": "http", "url": SERVER["url"]}}}
        files["agent/sessions/.claude.json"] = indented(servers, 2)
    # Harbor converts the session when the run is over: a killed trial has no trajectory.
    if trial.fault != "no_result":
        files["agent/trajectory.json"] = to_trajectory(run)
    return files


def _verifier_files(trial: Planned, rng: Random, texts: Texts, size: float) -> dict[str, bytes]:
    """Write what the tests left; a killed trial was never tested."""
    if trial.fault == "no_result":
        return {}
    cases = to_ctrf(rng, texts, passed=trial.reward == 1, size=size)
    files = {"verifier/test-stdout.txt": to_stdout(rng, texts, cases, size).encode()}
    if trial.reward is not None:
        files["verifier/reward.txt"] = f"{trial.reward:g}\n".encode()
        if rng.random() < 0.5:
            files["verifier/ctrf.json"] = indented(cases, 1)
    return files


def _artifacts(run: Run, *, collected: bool) -> dict[str, bytes]:
    """Write the manifest and, where it is collected, the diff of the run."""
    place, target = "artifacts/tmp/agent.patch", "artifacts/logs/artifacts"
    rest: Json = {"service": None, "exclude": []}
    rows = [{"source": "/logs/artifacts", "destination": target, "type": "directory"}]
    rows[0] |= {"status": "empty", **rest}
    files = {}
    if collected:
        row: Json = {"source": "/tmp/agent.patch", "destination": place, "type": "file"}
        rows.append(row | {"status": "ok", **rest})
        files[place] = "".join(
            _diff(path.removeprefix("/app/"), run.before.get(path), after)
            for path, after in sorted(run.files.items())
            if run.before.get(path) != after
        ).encode()
    return files | {"artifacts/manifest.json": indented(rows, 2)}


def _diff(path: str, before: str | None, after: str) -> str:
    old = "/dev/null" if before is None else f"a/{path}"
    head = f"diff --git a/{path} b/{path}\n" + ("new file mode 100644\n" * (before is None))
    lines = difflib.unified_diff(
        (before or "").splitlines(keepends=True), after.splitlines(keepends=True), old, f"b/{path}"
    )
    return head + "".join(lines)


def main() -> None:
    """Write the directories and print their size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", choices=list(SIZES), default="full")
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    given: Any = parser.parse_args()
    size = write_jobs(given.folder, kind=given.kind, trials=given.trials, seed=given.seed)
    print(f"{given.trials} trials, {size / 1e6:.1f} MB, {size / given.trials / 1e3:.0f} KB a trial")


if __name__ == "__main__":
    main()
