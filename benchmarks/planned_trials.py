"""The trials of a made-up benchmark and the fate of each, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

Fault = Literal["timeout", "verifier_timeout", "no_result", "cut_log", "no_reward"]

JOBS = ("baseline", "with-mcp")
ATTEMPTS = 5
_FAULTS: list[tuple[Fault, float]] = [
    ("timeout", 0.03),
    ("verifier_timeout", 0.01),
    ("no_result", 0.01),
    ("cut_log", 0.01),
    ("no_reward", 0.01),
]


@dataclass(frozen=True, slots=True)
class Planned:
    """A trial before it is written, with its fate."""

    job: str
    task: str
    attempt: int
    name: str
    fault: Fault | None
    noisy: bool
    reward: float | None
    """None where the verifier left no reward."""


def plan_trials(trials: int, seed: int) -> list[Planned]:
    """Draw the trials of both jobs, half of them in each."""
    first = trials - trials // 2
    return [
        _planned(job, number, seed)
        for job, count in zip(JOBS, (first, trials - first), strict=True)
        for number in range(count)
    ]


def _planned(job: str, number: int, seed: int) -> Planned:
    task, attempt = f"task-{number // ATTEMPTS:05}", number % ATTEMPTS + 1
    rng = Random(f"{seed}/{job}/{task}/{attempt}")
    drawn, fault = rng.random(), None
    for name, share in _FAULTS:
        if 0 <= drawn < share:
            fault = name
        drawn -= share
    passed = rng.random() < (0.6 if job == "with-mcp" else 0.5)
    reward = None if fault in ("verifier_timeout", "no_reward") else float(passed)
    suffix = f"{rng.getrandbits(28):07x}"
    return Planned(job, task, attempt, f"{task}__{suffix}", fault, rng.random() < 0.1, reward)


def expected_status(trial: Planned) -> str:
    """Give the status that an aggregation should find."""
    if trial.fault == "no_result" or trial.reward is None:
        return "error"
    return "pass" if trial.reward == 1 else "fail"
