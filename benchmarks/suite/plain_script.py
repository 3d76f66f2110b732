"""What people write before they have a tool: read everything, keep everything, dump it indented.

One record per trial, of the same shape as evaltrace's traces. Nothing is rebuilt, reconciled or
checked here: no diffs from edit calls, no subagents, no second source for a number.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

Json = dict[str, Any]

LOG = "agent/claude-code.txt"
TRAJECTORY = "agent/trajectory.json"
FILES = (
    "result.json",
    "config.json",
    TRAJECTORY,
    LOG,
    "verifier/test-stdout.txt",
    "verifier/reward.txt",
    "artifacts/tmp/agent.patch",
)
"""What is read of a trial; the ratio R is over the same files."""

_TIMEOUTS = (
    "agent_override_s",
    "agent_max_s",
    "agent_setup_override_s",
    "verifier_override_s",
    "verifier_max_s",
    "multiplier",
    "agent_multiplier",
    "agent_setup_multiplier",
    "verifier_multiplier",
    "environment_build_multiplier",
)
_KEPT = (
    "type",
    "subtype",
    "is_error",
    "result",
    "num_turns",
    "duration_ms",
    "duration_api_ms",
    "total_cost_usd",
    "session_id",
)
_DURATIONS = ("environment_setup", "agent_setup", "agent_execution", "verifier")


def write_plainly(folder: Path, output: Path, *, events: bool, schema: Json | None = None) -> int:
    """Write all trials below a folder into one file; check each if a schema is given."""
    traces = []
    for path in sorted(folder.glob("*/*/config.json")):
        trace = read_plainly(path.parent, events)
        if schema is not None:
            import jsonschema

            jsonschema.validate(trace, schema)
        traces.append(trace)
    with output.open("w") as file:
        json.dump({"traces": traces}, file, indent=2)
    return len(traces)


def read_plainly(trial: Path, events: bool) -> Json:
    """Read one trial."""
    config = json.loads((trial / "config.json").read_text())
    result = _json(trial / "result.json")
    trajectory = _json(trial / TRAJECTORY)
    calls, servers, answer = _read_log(trial / LOG)
    reward = _text(trial / "verifier/reward.txt")
    steps = trajectory.get("steps", [])
    prompt = next((step["message"] for step in steps if step["source"] == "user"), None)
    rewards = (result.get("verifier_result") or {}).get("rewards")
    if rewards is None and reward is not None:
        rewards = {"reward": float(reward)}
    failure = result.get("exception_info")
    score = rewards["reward"] if rewards else None
    status = "pass" if score == 1 else "fail" if score is not None else "error"
    return {
        "schema_version": "1.0",
        "trace_id": result.get("id", trial.name),
        "task_id": trial.name,
        "task_instruction": prompt,
        "agent_config": _agent_config(config, result),
        "agent_request": {"prompt": prompt, "argv": None, "system_prompt": None},
        "agent_response": _response(answer),
        "code_changes": _text(trial / "artifacts/tmp/agent.patch"),
        "test_reward": score,
        "rewards": rewards,
        "test_output": _text(trial / "verifier/test-stdout.txt"),
        "metrics": _metrics(result, answer, steps),
        "status": status,
        "origin": _origin(trial, config, result),
        "task": _task(result),
        "arm": None,
        "attempt": 1,
        "trigger": None,
        "context": None,
        "tools": {"available": None, "mcp_servers": servers, "calls": calls, "mentions": None},
        "events": _events(steps) if events else [],
        "code_stats": None,
        "tests": None,
        "error": _error(failure),
        "bottlenecks": [],
        "sources": {},
        "problems": [],
        "truncated": [],
    }


def _json(path: Path) -> Json:
    if not path.exists():
        return {}
    with path.open() as file:
        found: Json = json.load(file)
    return found


def _text(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


def _read_log(path: Path) -> tuple[list[Json], list[Json], Json]:
    """Count the tool calls of a log; give the servers and the result event too."""
    counts: Counter[str] = Counter()
    servers, answer, seen = [], {}, set()
    for line in path.read_text().splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if event["type"] == "system":
            servers = [
                {"name": server["name"], "status": server["status"], "configured_in": ["agent log"]}
                for server in event["mcp_servers"]
            ]
        elif event["type"] == "assistant":
            for block in event["message"]["content"]:
                if block["type"] == "tool_use" and block["id"] not in seen:
                    seen.add(block["id"])
                    counts[block["name"]] += 1
        elif event["type"] == "result":
            answer = event
    rows = [
        {"name": name, "server": None, "kind": "other", "count": count, "errors": 0}
        for name, count in sorted(counts.items())
    ]
    return rows, servers, answer


def _agent_config(config: Json, result: Json) -> Json:
    agent = config["agent"]
    whole = result.get("config", {})
    about = {"name": agent["name"], "version": result.get("agent_info", {}).get("version")}
    about |= {"import_path": None, "kwargs": agent.get("kwargs"), "env": None, "skills": []}
    return {
        "agent": about | {"mcp_servers": agent.get("mcp_servers", [])},
        "model": agent["model_name"],
        "timestamp": result.get("started_at"),
        "timeouts": dict.fromkeys(_TIMEOUTS),
        "environment": whole.get("environment"),
        "verifier": whole.get("verifier"),
    }


def _response(answer: Json) -> Json | None:
    if not answer:
        return None
    tokens = answer["usage"]
    kinds = ("input", "output", "cache_creation_input", "cache_read_input")
    usage = {f"{kind}_tokens": tokens[f"{kind}_tokens"] for kind in kinds}
    response = {name: answer[name] for name in _KEPT}
    return response | {"usage": usage, "model_usage": None, "permission_denials": []}


def _metrics(result: Json, answer: Json, steps: list[Json]) -> Json:
    spent = result.get("agent_result") or {}
    names = ("input", "output", "cache_creation", "cache_read", "total", "total_with_cache")
    tokens: Json = dict.fromkeys(names)
    if answer:
        usage = answer["usage"]
        tokens["input"], tokens["output"] = usage["input_tokens"], usage["output_tokens"]
        tokens["cache_creation"] = usage["cache_creation_input_tokens"]
        tokens["cache_read"] = usage["cache_read_input_tokens"]
        tokens["total"] = tokens["input"] + tokens["output"]
        cached = tokens["cache_creation"] + tokens["cache_read"]
        tokens["total_with_cache"] = tokens["total"] + cached
    durations = {f"{name}_s": _seconds(result.get(name)) for name in _DURATIONS}
    cost, calls = spent.get("cost_usd"), sum(len(step.get("tool_calls", [])) for step in steps)
    source = None if cost is None else "reported"
    return {
        "tokens": tokens,
        "cost": {"usd": cost, "source": source, "price_table": None},
        "durations": {"total_s": _seconds(result), **durations},
        "turns": answer.get("num_turns"),
        "tool_calls": calls,
        "manifest": spent or None,
    }


def _seconds(phase: Json | None) -> float | None:
    if not phase:
        return None
    start, end = (datetime.fromisoformat(phase[key]) for key in ("started_at", "finished_at"))
    return (end - start).total_seconds()


def _origin(trial: Path, config: Json, result: Json) -> Json:
    return {
        "kind": "harness",
        "harness": "harbor",
        "harness_version": None,
        "harness_version_from": None,
        "job_name": trial.parent.name,
        "job_id": config.get("job_id"),
        "path": trial.name,
        "started_at": result.get("started_at"),
        "finished_at": result.get("finished_at"),
        "clock": "utc",
        "task_ref": result.get("task_id"),
    }


def _task(result: Json) -> Json:
    task: Json = dict.fromkeys(("org", "digest", "category", "difficulty", "tags"))
    task |= {"name": result.get("task_name", "unknown"), "source": result.get("source")}
    return task | {"checksum": result.get("task_checksum")}


def _error(failure: Json | None) -> Json | None:
    if not failure:
        return None
    return {
        "type": failure["exception_type"],
        "message": failure["exception_message"],
        "cause": "unclassified",
        "phase": None,
        "reward_valid": False,
        "evidence": [],
    }


def _events(steps: list[Json]) -> list[Json]:
    events = []
    for step in steps:
        own = f"s{step['step_id']}"
        role = "assistant" if step["source"] == "agent" else "user"
        event = {"id": own, "type": "message", "role": role, "text": step["message"]}
        events.append(event | {"started_at": step["timestamp"]})
        results = step.get("observation", {}).get("results", [])
        said = {answer["source_call_id"]: answer["content"] for answer in results}
        for call in step.get("tool_calls", []):
            number = call["tool_call_id"]
            event = {"id": number, "type": "tool_call", "parent_id": own}
            event |= {"name": call["function_name"], "input": call["arguments"]}
            events.append(event | {"output": said.get(number)})
    return events
