"""Which Harbor wrote a trial: exactly from the job's lock, else by what the files have.

Source: Harbor format reference, section 14.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from evaltrace.readers.harbor.records import JobResult, TrialResult, dig
from evaltrace.source import Source
from evaltrace.times import parse_time

Number = tuple[int, ...]

_CONFIG_KEYS: list[tuple[tuple[str, ...], str]] = [
    (("agent", "override_setup_timeout_sec"), "0.1.29"),
    (("environment", "import_path"), "0.1.32"),
    (("agent", "env"), "0.1.45"),
    (("task", "name"), "0.3.0"),
    (("agent", "mcp_servers"), "0.7.1"),
    (("environment", "cpu_enforcement_policy"), "0.8.0"),
    (("install_only",), "0.16.0"),
    (("agent", "resume_trajectory"), "0.19.0"),
    (("extra_instructions",), "0.22.0"),
    (("environment", "stream"), "0.24.0"),
    (("agent", "skip_model_parsing"), "0.25.0"),
]
"""Keys of the full configuration dump, and the version that brought them."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version, or the range it must lie in: `low` inclusive, `high` exclusive."""

    low: Number | None = None
    high: Number | None = None
    exact: str | None = None
    known_from: str | None = None

    def before(self, version: str) -> bool:
        """Tell whether the trial is surely older than a version."""
        if self.exact:
            return _number(self.exact) < _number(version)
        return self.high is not None and self.high <= _number(version)

    @property
    def label(self) -> str | None:
        """The version as text, such as `0.25.0`, `>=0.1.13,<0.1.29` or None."""
        if self.exact:
            return self.exact
        parts = [f">={_text(self.low)}"] if self.low else []
        parts += [f"<{_text(self.high)}"] if self.high else []
        return ",".join(parts) or None


def find_version(
    source: Source,
    result: TrialResult | None,
    *,
    locked: str | None = None,
    job_config: dict[str, Any] | None = None,
    job_result: JobResult | None = None,
    has_job_log: bool | None = None,
) -> Version:
    """Find the version of the Harbor that ran a trial."""
    if locked:
        return Version(exact=locked, known_from="lock.json of the job")
    signs = [
        *_signs_of_result(result),
        *_signs_of_files(source),
        *_signs_of_job(job_config, job_result, has_job_log),
    ]
    lows = [(_number(version), why) for side, version, why in signs if side == "low"]
    highs = [(_number(version), why) for side, version, why in signs if side == "high"]
    low, low_why = max(lows, default=(None, ""), key=lambda sign: sign[0] or ())
    high, high_why = min(highs, default=(None, ""), key=lambda sign: sign[0] or ())
    if low and high and low >= high:
        why = f"contradictory, perhaps a fork: {low_why} but {high_why}"
        return Version(low=low, known_from=why)
    known_from = ", ".join(why for why in (low_why, high_why) if why)
    return Version(low=low, high=high, known_from=known_from or None)


Sign = tuple[str, str, str]


def _signs_of_result(result: TrialResult | None) -> Iterator[Sign]:
    if result is None:
        return
    for keys, version in _CONFIG_KEYS if result.config else ():
        path = ".".join(keys)
        if keys[-1] in (dig(result.config, *keys[:-1]) or {}):
            yield "low", version, f"config.{path} present"
        else:
            yield "high", version, f"config.{path} absent"
    yield _key_sign("0.5.0", "step_results", result.step_results is not UNSET)
    if result.verifier_environment_mode is not UNSET:
        yield "low", "0.21.0", "verifier_environment_mode present"
    if result.agent_result is not None:
        present = "rollout_details" in result.agent_result
        yield _key_sign("0.1.13", "agent_result.rollout_details", present)
        if "model_usage" in result.agent_result:
            yield "low", "0.23.0", "agent_result.model_usage present"
    start = parse_time(result.started_at)
    if start is not None:
        present = start.tzinfo is not None
        yield ("low" if present else "high"), "0.1.36", f"times {'in UTC' if present else 'naive'}"


def _key_sign(version: str, key: str, present: bool) -> Sign:
    return ("low" if present else "high"), version, f"{key} {'present' if present else 'absent'}"


def _signs_of_files(source: Source) -> Iterator[Sign]:
    if source.has_folder("agent/command-0"):
        yield "high", "0.2.0", "agent/command-0 present"
    if source.has("verifier/test-stderr.txt"):
        yield "high", "0.1.45", "verifier/test-stderr.txt present"
    if source.has("lock.json"):
        yield "low", "0.17.0", "lock.json of the trial present"


def _signs_of_job(
    config: dict[str, Any] | None, result: JobResult | None, has_log: bool | None
) -> Iterator[Sign]:
    if config and "orchestrator" in config:
        yield "high", "0.2.0", "orchestrator in the job's config"
    if has_log is not None:
        yield _key_sign("0.1.13", "job.log", has_log)
    if result and result.stats and result.stats.n_completed_trials is not UNSET:
        yield "low", "0.6.2", "stats.n_completed_trials present"
    elif result and result.stats and result.stats.cost_usd is not UNSET:
        yield "low", "0.6.0", "stats.cost_usd present"


def _number(version: str) -> Number:
    parts = []
    for part in version.split("."):
        digits = "".join(char for char in part if char.isdigit())
        parts.append(int(digits[:9] or 0))
    return tuple(parts)


def _text(number: Number | None) -> str:
    return ".".join(str(part) for part in number or ())
