"""Which Harbor wrote a trial: exactly from the job's lock, else by what the files have.

Source: Harbor format reference, section 14, and the table of section 2.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from msgspec import UNSET

from evaltrace.readers.harbor.records import JobResult, TrialResult, dig, number
from evaltrace.source import Source
from evaltrace.times import parse_time

Number = tuple[int, ...]

_CONFIG_KEYS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("agent", "max_timeout_sec"), "0.1.13"),
    (("verifier", "disable"), "0.1.14"),
    (("agent", "override_setup_timeout_sec"), "0.1.29"),
    (("environment", "import_path"), "0.1.32"),
    (("agent_timeout_multiplier",), "0.1.45"),
    (("task", "name"), "0.3.0"),
    (("agent", "mcp_servers"), "0.7.1"),
    (("environment", "cpu_enforcement_policy"), "0.8.0"),
    (("install_only",), "0.16.0"),
    (("agent", "resume_trajectory"), "0.19.0"),
    (("extra_instructions",), "0.22.0"),
    (("environment", "stream"), "0.24.0"),
    (("agent", "skip_model_parsing"), "0.25.0"),
)
"""Keys of a full configuration, and the version that brought them.

Not `agent.env`: an empty one is left out again since 0.17.0.
"""

_LOG_HEAD = 4096


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


Sign = tuple[str, str, str]
"""A side of the range (low, high), the version that bounds it, and why."""


def find_version(
    source: Source | None,
    result: TrialResult | None,
    config: dict[str, Any] | None = None,
    *,
    locked: str | None = None,
    job_config: dict[str, Any] | None = None,
    job_result: JobResult | None = None,
    has_job_log: bool = False,
) -> Version:
    """Find the version of the Harbor that ran a trial, or (without one) that made a job.

    `config` is the trial's `config.json` where there is no result.
    """
    if locked and locked[:1].isdigit():
        return Version(exact=locked, known_from="lock.json of the job")
    signs = [
        *_signs_of_job(job_config, job_result, has_job_log),
        *_signs_of_config((result.config if result else None) or config),
        *_signs_of_result(result),
        *(_signs_of_files(source, result) if source else ()),
    ]
    return _joined(signs)


def _joined(signs: list[Sign]) -> Version:
    lows = [(_number(version), why) for side, version, why in signs if side == "low"]
    highs = [(_number(version), why) for side, version, why in signs if side == "high"]
    low, low_why = max(lows, default=(None, ""), key=lambda sign: sign[0] or ())
    high, high_why = min(highs, default=(None, ""), key=lambda sign: sign[0] or ())
    if low and high and low >= high:
        why = f"contradictory, perhaps a fork: {low_why} but {high_why}"
        return Version(low=low, known_from=why)
    known_from = ", ".join(why for why in (low_why, high_why) if why)
    return Version(low=low, high=high, known_from=known_from or None)


def _key_sign(version: str, key: str, present: bool) -> Sign:
    return ("low" if present else "high"), version, f"{key} {'present' if present else 'absent'}"


def _signs_of_config(config: dict[str, Any] | None) -> Iterator[Sign]:
    if not config:
        return
    if not _is_full(config):
        yield "low", "0.17.1", "config.json leaves defaults out"
        return
    for keys, version in _CONFIG_KEYS:
        holder = dig(config, *keys[:-1])
        if isinstance(holder, dict):
            yield _key_sign(version, f"config.{'.'.join(keys)}", keys[-1] in holder)


def _is_full(config: dict[str, Any]) -> bool:
    """Tell a full dump from one without defaults, by keys whose default is null."""
    keys = ("agent", "verifier")
    parts = [config[key] for key in keys if isinstance(config.get(key), dict)]
    return len(parts) == len(keys) and all("override_timeout_sec" in part for part in parts)


def _signs_of_result(result: TrialResult | None) -> Iterator[Sign]:
    if result is None:
        return
    yield _key_sign("0.5.0", "step_results", result.step_results is not UNSET)
    mode = result.verifier_environment_mode is not UNSET
    yield _key_sign("0.21.0", "verifier_environment_mode", mode)
    start = parse_time(result.started_at)
    if start is not None:
        utc = start.tzinfo is not None
        yield ("low" if utc else "high"), "0.1.36", f"times {'in UTC' if utc else 'naive'}"
    numbers = result.agent_result
    if numbers is None:
        return
    yield _key_sign("0.1.13", "agent_result.rollout_details", "rollout_details" in numbers)
    yield _key_sign("0.23.0", "agent_result.model_usage", "model_usage" in numbers)
    if "rollout_details" not in numbers and _is_claude(result) and number(numbers, "cost_usd"):
        yield "high", "0.1.1", "agent_result.cost_usd of claude-code known"


def _is_claude(result: TrialResult | None) -> bool:
    return bool(result and result.agent_info and result.agent_info.name == "claude-code")


def _signs_of_files(source: Source, result: TrialResult | None) -> Iterator[Sign]:
    # A graded-again trial carries the agent's files of its source, perhaps from another version.
    if not (result and dig(result.config, "source_trial")):
        yield from _signs_of_agent_files(source, _is_claude(result))
    if source.has("verifier/test-stderr.txt"):
        yield "high", "0.1.45", "verifier/test-stderr.txt present"
    if source.has("lock.json"):
        yield "low", "0.17.0", "lock.json of the trial present"


def _signs_of_agent_files(source: Source, claude: bool) -> Iterator[Sign]:
    if not (source.has_folder("agent/command-0") or source.has_folder("agent/commands")):
        return
    yield "high", "0.2.0", "agent/command-0 present"
    first = source.read_text("agent/command-0/command.txt", _LOG_HEAD)
    if claude and first is not None:
        # The folder of CLAUDE_CONFIG_DIR is made first since 0.1.1.
        made = first.text.lstrip().startswith("mkdir")
        what = "makes a folder" if made else "runs claude"
        yield ("low" if made else "high"), "0.1.1", f"agent/command-0 {what}"


def _signs_of_job(
    config: dict[str, Any] | None, result: JobResult | None, has_log: bool
) -> Iterator[Sign]:
    if config:
        if "orchestrator" in config:
            yield "high", "0.2.0", "orchestrator in the job's config"
        elif "n_concurrent_trials" in config:
            yield "low", "0.2.0", "n_concurrent_trials in the job's config"
        agents = config.get("agents")
        agent = agents[0] if isinstance(agents, list) and agents else {}
        # Tasks of a job are often a dataset; a trial's key of its task tells more.
        yield from _signs_of_config({**config, "agent": agent, "task": None})
    if has_log:
        yield "low", "0.1.13", "job.log present"
    if result is None or result.stats is None:
        return
    counted = result.stats.n_completed_trials is not UNSET
    yield _key_sign("0.6.2", "stats.n_completed_trials", counted)
    yield _key_sign("0.6.0", "stats.cost_usd", result.stats.cost_usd is not UNSET)


# Most trials have the same ones.
@lru_cache(maxsize=64)
def _number(version: str) -> Number:
    """Turn `0.8` or `0.25.0rc1` into three numbers, so that they compare."""
    found = [re.match(r"\d{1,9}", part) for part in version.split(".")[:3]]
    parts = [int(match.group()) if match else 0 for match in found]
    return tuple(parts + [0] * (3 - len(parts)))


def _text(parts: Number | None) -> str:
    return ".".join(str(part) for part in parts or ())
