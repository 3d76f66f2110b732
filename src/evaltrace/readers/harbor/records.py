"""Harbor's JSON files as typed records; every field is optional, unknown ones are skipped.

Source: Harbor format reference, sections 1.5, 2 and 14 (0.1.0 to 0.25.0).
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from evaltrace.jsontext import Malformed, decode


class Timing(msgspec.Struct):
    """Start and end of one phase."""

    started_at: str | None = None
    finished_at: str | None = None


class ModelInfo(msgspec.Struct):
    """The model a trial was run with."""

    name: str | None = None
    provider: str | None = None


class AgentInfo(msgspec.Struct):
    """The agent as its class describes itself."""

    name: str | None = None
    version: str | None = None
    model_info: ModelInfo | None = None


class VerifierResult(msgspec.Struct):
    """Rewards by key, of any type: one that is no number must not cost the others."""

    rewards: dict[str, Any] | None = None


class ExceptionInfo(msgspec.Struct):
    """The first exception of a trial or a step."""

    exception_type: str | None = None
    exception_message: str | None = None


class StepResult(msgspec.Struct):
    """One step of a multi-step trial (0.5.0 and later)."""

    step_name: str | None = None
    agent_result: dict[str, Raw] | None = None
    verifier_result: VerifierResult | None = None
    exception_info: ExceptionInfo | None = None
    agent_execution: Timing | None = None
    verifier: Timing | None = None


class TrialResult(msgspec.Struct):
    """A trial's `result.json`, written once when the trial ends."""

    id: str | None = None
    task_name: str | None = None
    trial_name: str | None = None
    trial_uri: str | None = None
    task_id: dict[str, Any] | None = None
    source: str | None = None
    task_checksum: str | None = None
    config: dict[str, Any] | None = None
    agent_info: AgentInfo | None = None
    agent_result: dict[str, Raw] | None = None
    verifier_result: VerifierResult | None = None
    verifier_environment_mode: str | UnsetType | None = UNSET
    exception_info: ExceptionInfo | None = None
    started_at: str | None = None
    finished_at: str | None = None
    environment_setup: Timing | None = None
    agent_setup: Timing | None = None
    agent_execution: Timing | None = None
    verifier: Timing | None = None
    step_results: list[StepResult] | UnsetType | None = UNSET


class JobStats(msgspec.Struct):
    """The parts of a job's statistics that trials cannot tell."""

    n_retries: int | None = None
    n_completed_trials: int | UnsetType = UNSET
    cost_usd: float | UnsetType | None = UNSET


class JobResult(msgspec.Struct):
    """A job's `result.json`; its aggregates are not trusted."""

    id: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    n_total_trials: int | None = None
    stats: JobStats | None = None


class LockedHarbor(msgspec.Struct):
    """The harness version, recorded nowhere else."""

    version: str | None = None


class LockedTask(msgspec.Struct):
    """A task as resolved by the job; `name` is the short one where a result has `org/name`."""

    name: str | None = None
    digest: str | None = None
    source: str | None = None
    path: str | None = None


class PlannedTrial(msgspec.Struct):
    """A trial as its job's lock plans it: only what is needed of the many that there are."""

    task: LockedTask | None = None


class LockedTrial(msgspec.Struct):
    """A trial's own `lock.json` (0.17.0 and later)."""

    task: LockedTask | None = None
    agent: dict[str, Any] | None = None
    environment: dict[str, Any] | None = None
    verifier: dict[str, Any] | None = None
    timeout_multiplier: float | None = None
    agent_timeout_multiplier: float | None = None
    verifier_timeout_multiplier: float | None = None
    agent_setup_timeout_multiplier: float | None = None
    environment_build_timeout_multiplier: float | None = None
    skills: list[Any] | None = None


class JobLock(msgspec.Struct):
    """A job's `lock.json` (0.6.2 and later): the plan."""

    harbor: LockedHarbor | None = None
    trials: list[PlannedTrial] | None = None
    n_concurrent_trials: Any = None
    retry: Any = None


class Sketch(msgspec.Struct):
    """The keys that tell a trial's files from a job's; values do not matter."""

    task: Raw | UnsetType = UNSET
    trial_name: Raw | UnsetType = UNSET
    task_name: Raw | UnsetType = UNSET
    agent: Raw | UnsetType = UNSET
    agents: Raw | UnsetType = UNSET
    tasks: Raw | UnsetType = UNSET
    datasets: Raw | UnsetType = UNSET
    jobs_dir: Raw | UnsetType = UNSET
    n_attempts: Raw | UnsetType = UNSET
    n_total_trials: Raw | UnsetType = UNSET
    trials: Raw | UnsetType = UNSET


TRIAL_RESULT = msgspec.json.Decoder(TrialResult, strict=False)
TRIAL_LOCK = msgspec.json.Decoder(LockedTrial, strict=False)
JOB_RESULT = msgspec.json.Decoder(JobResult, strict=False)
JOB_LOCK = msgspec.json.Decoder(JobLock, strict=False)
SKETCH = msgspec.json.Decoder(Sketch)
OBJECT = msgspec.json.Decoder(dict[str, Any])
ANY = msgspec.json.Decoder()


_MOST = 2**53
"""A count above this is no count: JSON readers lose its last digits."""


def number(record: dict[str, Raw] | None, key: str) -> float | None:
    """Give a number of an agent result; None when it is absent, null or no finite number."""
    raw = (record or {}).get(key)
    try:
        value = decode(memoryview(raw), ANY)[0] if raw is not None else None
    except Malformed:
        return None
    return value if is_number(value) and not isinstance(value, bool) else None


def count(record: dict[str, Raw] | None, key: str) -> int | None:
    """Give a whole, non-negative number of an agent result, else None."""
    value = number(record, key)
    return int(value) if value is not None and 0 <= value <= _MOST else None


def dig(record: Any, *keys: str) -> Any:
    """Follow keys through nested objects; None where one is missing."""
    for key in keys:
        record = record.get(key) if isinstance(record, dict) else None
    return record


def is_number(value: Any) -> bool:
    """Tell whether a value is a finite number that a float can hold."""
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:
        return False


def text(value: Any) -> str | None:
    """Give a non-empty string, else None."""
    return value if isinstance(value, str) and value else None
