"""How a trial was configured, and which task it ran.

The full dump in `result.json` comes first, then the trial's lock, then `config.json`
(0.17.1 and later leave defaults out of it). Source: Harbor format reference, section 2.3.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from hashlib import sha256
from typing import Any

import msgspec

from evaltrace.readers.harbor.records import LockedTrial, TrialResult, dig, is_number, text
from evaltrace.times import to_utc
from evaltrace.trace import Agent, AgentConfig, Task, Timeouts
from evaltrace.untrusted import bounded, clean, is_bounded

_TEXT_LIMIT = 16_384
_DEFAULTS: dict[str, dict[str, Any]] = {
    "environment": {"type": "docker", "force_build": False, "delete": True},
    "verifier": {"disable": False},
}
_DEFAULT_AGENT = "oracle"
_ITEM_DEFAULTS = (("transport", "sse"),)
_NOT_CONFIG = {"n_concurrent", "concurrency_group"}
_FREE = {"kwargs", "env"}


def full_config(
    result: TrialResult | None, lock: LockedTrial | None, sparse: dict[str, Any] | None
) -> tuple[dict[str, Any], str]:
    """Give the fullest configuration there is, and the name of the file it came from."""
    if result and result.config:
        return result.config, "result.json: config"
    config = {key: value for key, value in (sparse or {}).items() if value is not None}
    if lock is not None and lock.agent is not None:
        return {**config, **_of_lock(lock)}, "lock.json"
    if not config:
        return {}, ""
    filled = _with_defaults(config)
    return filled, "config.json" + (", defaults filled in" if filled != config else "")


def _of_lock(lock: LockedTrial) -> dict[str, Any]:
    names = [name for name in lock.__struct_fields__ if name not in ("task", "skills")]
    return {name: getattr(lock, name) for name in names if getattr(lock, name) is not None}


def _with_defaults(config: dict[str, Any]) -> dict[str, Any]:
    """Fill in what Harbor leaves out of a configuration because it is the default."""
    filled = {"timeout_multiplier": 1.0, **config}
    for key, defaults in _DEFAULTS.items():
        given = config.get(key)
        given = given if isinstance(given, dict) else {}
        # An environment of one's own class has no type.
        own = {"type"} if given.get("import_path") else set()
        filled[key] = {**{k: v for k, v in defaults.items() if k not in own}, **given}
    agent = config.get("agent")
    agent = agent if isinstance(agent, dict) else {}
    if not (agent.get("name") or agent.get("import_path")):
        filled["agent"] = {**agent, "name": _DEFAULT_AGENT}
    return filled


def to_agent_config(
    config: dict[str, Any], result: TrialResult | None, version_seen: str | None
) -> AgentConfig:
    """Turn a trial's configuration into the trace's; absent keys stay null."""
    agent = _object(config.get("agent")) or {}
    info = result.agent_info if result else None
    told = info.version if info and info.version != "unknown" else None
    kwargs = _object(agent.get("kwargs"))
    return AgentConfig(
        agent=Agent(
            name=agent_name(config, result),
            version=told or version_seen or text(dig(kwargs, "version")),
            import_path=text(agent.get("import_path")),
            kwargs=kwargs,
            env=_object(agent.get("env")),
            skills=_list(agent.get("skills")),
            mcp_servers=_list(agent.get("mcp_servers")),
        ),
        model=text(agent.get("model_name")) or _model_of(result),
        timestamp=to_utc(result.started_at) if result else None,
        timeouts=_timeouts(config),
        environment=_object(config.get("environment")),
        verifier=_object(config.get("verifier")),
    )


def agent_name(config: dict[str, Any], result: TrialResult | None) -> str | None:
    """Give the agent's name: what its class calls itself, else what was configured."""
    info = result.agent_info if result else None
    return text(info.name if info else None) or text(dig(config, "agent", "name"))


def _model_of(result: TrialResult | None) -> str | None:
    model = result.agent_info.model_info if result and result.agent_info else None
    if model is None or not model.name:
        return None
    return f"{model.provider}/{model.name}" if model.provider else model.name


def _timeouts(config: dict[str, Any]) -> Timeouts | None:
    if not config:
        return None
    return Timeouts(
        agent_override_s=_seconds(config, "agent", "override_timeout_sec"),
        agent_max_s=_seconds(config, "agent", "max_timeout_sec"),
        agent_setup_override_s=_seconds(config, "agent", "override_setup_timeout_sec"),
        verifier_override_s=_seconds(config, "verifier", "override_timeout_sec"),
        verifier_max_s=_seconds(config, "verifier", "max_timeout_sec"),
        multiplier=_seconds(config, "timeout_multiplier"),
        agent_multiplier=_seconds(config, "agent_timeout_multiplier"),
        agent_setup_multiplier=_seconds(config, "agent_setup_timeout_multiplier"),
        verifier_multiplier=_seconds(config, "verifier_timeout_multiplier"),
        environment_build_multiplier=_seconds(config, "environment_build_timeout_multiplier"),
    )


def _seconds(config: dict[str, Any], *keys: str) -> float | None:
    value = dig(config, *keys)
    if value is None or isinstance(value, bool) or not is_number(value):
        return None
    return float(value)


def agent_digest(config: dict[str, Any]) -> str:
    """Name an agent configuration, so that attempts with the same one are numbered together.

    Defaults written out make no difference: some files of a job have them, others do not.
    """
    agent = config.get("agent")
    try:
        return _digest_of(msgspec.json.encode(agent))
    except (ValueError, OverflowError, RecursionError):
        return _digest(agent)


# Most trials of a job have the same one.
@lru_cache(maxsize=256)
def _digest_of(agent: bytes) -> str:
    return _digest(msgspec.json.decode(agent))


def _digest(agent: Any) -> str:
    told = {
        key: value if key in _FREE else _without_defaults(value)
        for key, value in (_object(agent) or {}).items()
        if value and key not in _NOT_CONFIG
    }
    whole = json.dumps(told, sort_keys=True, default=str)
    return sha256(whole.encode()).hexdigest()[:16]


def _without_defaults(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _without_defaults(item) for key, item in value.items() if item}
        return {key: item for key, item in kept.items() if (key, item) not in _ITEM_DEFAULTS}
    return [_without_defaults(item) for item in value] if isinstance(value, list) else value


def task_name(
    result: TrialResult | None,
    config: dict[str, Any],
    lock: LockedTrial | None,
    fallback: str,
) -> str:
    """Give the full task name (`org/name` or `name`); the folder's name is the last resort."""
    if result and result.task_name:
        return result.task_name
    task = config.get("task")
    named = text(dig(task, "name")) or text(lock.task.name if lock and lock.task else None)
    path = text(dig(task, "path"))
    return named or (re.split(r"[/\\]", path.rstrip("/\\"))[-1] if path else "") or fallback


def to_task(
    name: str,
    result: TrialResult | None,
    config: dict[str, Any],
    digest: str | None,
    metadata: dict[str, Any] | None,
) -> Task:
    """Make the task record; category, difficulty and tags come from its `task.toml`."""
    org, _, short = name.rpartition("/")
    tags = dig(metadata, "tags")
    return Task(
        name=short or name,
        org=org or None,
        checksum=result.task_checksum if result else None,
        digest=digest,
        source=(result.source if result else None) or text(dig(config, "task", "source")),
        category=text(dig(metadata, "category")),
        difficulty=text(dig(metadata, "difficulty")),
        tags=[clean(str(tag)) for tag in tags] if isinstance(tags, list) else None,
    )


def task_ref(result: TrialResult | None, config: dict[str, Any]) -> dict[str, Any] | None:
    """Give what the task was resolved from: path, git commit or package."""
    reference = (result.task_id if result else None) or _object(config.get("task"))
    return _kept(reference) if reference else None


def _object(value: Any) -> dict[str, Any] | None:
    return _kept(value) if isinstance(value, dict) else None


def _list(value: Any) -> list[Any] | None:
    return _kept(value) if isinstance(value, list) else None


def _kept(value: Any) -> Any:
    """Give a value within bounds: itself, or (seldom) a copy."""
    return value if is_bounded(value, _TEXT_LIMIT) else bounded(value, _TEXT_LIMIT)
