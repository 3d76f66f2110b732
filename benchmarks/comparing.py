"""Compares what comparing takes with what parsing its files takes.

500 tasks, 5 attempts and 2 arms by default, in files of traces without events. The comparison
as a whole, its own parsing included, should take less than 1.5 times the parsing alone.

    python benchmarks/comparing.py [TASKS [ATTEMPTS]]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import msgspec

from evaltrace import CompareOptions, compare_paths, read_traces
from evaltrace import trace as tr

_LIMIT = 1.5
_TOOLS = ("Bash", "Read", "Edit", "Grep", "Glob", "Write", "mcp__codesearch__find")


def main() -> None:
    """Write the files, time both jobs in turn, and judge the ratio."""
    tasks, attempts = (int(given) for given in [*sys.argv[1:], "500", "5"][:2])
    with TemporaryDirectory() as folder:
        paths = [
            write_arm(Path(folder, f"{label}.json"), label, tasks, attempts)
            for label in ("baseline", "treatment")
        ]
        size = sum(path.stat().st_size for path in paths) / 1e6
        options = CompareOptions()
        named = [(None, path) for path in paths]
        compare_paths(named, options)  # imports, and files in memory
        rounds = [
            (timed(lambda: parse(paths)), timed(lambda: compare_paths(named, options)))
            for _ in range(5)
        ]
    parsing, comparing = (sorted(column)[2] for column in zip(*rounds, strict=True))
    ratio = sorted(whole / part for part, whole in rounds)[2]
    print(f"{tasks} tasks x {attempts} attempts x 2 arms, {size:.0f} MB of traces")
    print(f"parsing    {parsing:6.2f} s")
    print(f"comparing  {comparing:6.2f} s, parsing included")
    print(f"ratio      {ratio:6.2f}, to stay below {_LIMIT}")
    sys.exit(ratio >= _LIMIT)


def timed(job: Callable[[], object]) -> float:
    """Time a job once, in seconds."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def parse(paths: list[Path]) -> int:
    """Read all traces and let them go."""
    return sum(1 for path in paths for _ in read_traces(path))


def write_arm(path: Path, label: str, tasks: int, attempts: int) -> Path:
    """Write a file of traces with the size and the shape of real ones without events."""
    random = Random(label)
    rows = [
        msgspec.json.encode(to_trace(random, label, f"task-{task:04}", number))
        for task in range(tasks)
        for number in range(1, attempts + 1)
    ]
    path.write_bytes(
        b'{"schema_version":"1.0","traces":[\n' + b",\n".join(rows) + b'\n],"problems":[]}\n'
    )
    return path


def to_trace(random: Random, label: str, task: str, number: int) -> tr.Trace:
    """Make a trace: an instruction, a diff and a test output of usual length."""
    reward = float(random.random() < (0.6 if label == "treatment" else 0.5))
    tokens = [random.randrange(100, 9000) for _ in range(4)]
    cases = [tr.TestCase(name=f"test_{i}", status="passed") for i in range(8)]
    servers = [{"name": "codesearch"}] if label == "treatment" else []
    return tr.Trace(
        trace_id=f"{task}-{label}-{number}",
        task_id=f"{task}__{label}{number}",
        task_instruction=f"Repair {task}.\n" * 60,
        agent_config=tr.AgentConfig(
            agent=tr.Agent(name="claude-code", version="2.1.0", mcp_servers=servers),
            model="anthropic/claude-sonnet-4-5",
        ),
        code_changes="".join(f"+line {random.random()}\n" for _ in range(60)),
        test_reward=reward,
        rewards={"reward": reward},
        test_output="a line of test output that says very little\n" * 60,
        metrics=tr.Metrics(
            tokens=tr.Tokens(
                input=tokens[0],
                output=tokens[1],
                cache_creation=tokens[2],
                cache_read=tokens[3],
                total=sum(tokens[:2]),
                total_with_cache=sum(tokens),
            ),
            cost=tr.Cost(usd=random.lognormvariate(-1, 0.8), source="reported"),
            durations=tr.Durations(total_s=random.random() * 600, agent_execution_s=60.0),
            turns=random.randrange(3, 40),
            tool_calls=random.randrange(3, 60),
        ),
        status="pass" if reward else "fail",
        origin=tr.Origin(kind="harness", harness="harbor", job_name=label, job_id=label),
        task=tr.Task(name=task, category=f"category-{int(task[-1]) % 4}", difficulty="medium"),
        arm=label,
        attempt=number,
        tools=tr.Tools(
            calls=[tr.ToolCalls(name=name, count=random.randrange(9)) for name in _TOOLS]
        ),
        tests=tr.Tests(summary=tr.TestSummary(total=8, passed=8), cases=cases, source="ctrf"),
    )


if __name__ == "__main__":
    main()
