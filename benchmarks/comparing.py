"""Compares what comparing takes with what parsing its files takes.

500 tasks, 5 attempts and 2 arms by default, in files of traces without events. Measured is the
time of the processor, everything imported and the files in memory:

- comparing: `compare_paths` as a whole, from the files to the records of the report, its own
  parsing included; nothing is shown or written;
- parsing as JSON: `json.loads` of the files' bytes, as any reader of the standard library does;
- parsing as traces: `read_traces`, which decodes straight into typed records, keeps none of
  them, and takes about a third of the time of `json.loads`.

Judged is the ratio to parsing as JSON, which should stay below 1.5. The ratio to parsing as
traces is shown beside it and not judged: the comparison is not within 1.5 times of that.

    python benchmarks/comparing.py [TASKS [ATTEMPTS]]
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory

import msgspec

from evaltrace import CompareOptions, compare_paths, read_traces
from evaltrace import trace as tr

_LIMIT = 1.5
_ROUNDS = 7
_TOOLS = ("Bash", "Read", "Edit", "Grep", "Glob", "Write", "mcp__codesearch__find")


def main() -> None:
    """Write the files, time the jobs in turn, and judge the ratio."""
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
        jobs = (
            lambda: compare_paths(named, options),
            lambda: parse_as_json(paths),
            lambda: parse_as_traces(paths),
        )
        rounds = [[timed(job) for job in jobs] for _ in range(_ROUNDS)]
    comparing, as_json, as_traces = (median(column) for column in zip(*rounds, strict=True))
    ratio = median(row[0] / row[1] for row in rounds)
    beside = median(row[0] / row[2] for row in rounds)
    print(f"{tasks} tasks x {attempts} attempts x 2 arms, {size:.0f} MB of traces")
    print(f"comparing          {comparing:6.3f} s, parsing included")
    print(f"parsing as JSON    {as_json:6.3f} s, ratio {ratio:5.2f}, to stay below {_LIMIT}")
    print(f"parsing as traces  {as_traces:6.3f} s, ratio {beside:5.2f}, not judged")
    sys.exit(ratio >= _LIMIT)


def timed(job: Callable[[], object]) -> float:
    """Time a job once, in seconds of the processor."""
    start = time.process_time()
    job()
    return time.process_time() - start


def parse_as_json(paths: list[Path]) -> int:
    """Parse the files one after the other with the standard library."""
    return sum(len(json.loads(path.read_bytes())["traces"]) for path in paths)


def parse_as_traces(paths: list[Path]) -> int:
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
