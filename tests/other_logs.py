"""The same scripted run as `agent_logs` has it, as Codex, Gemini CLI and ATIF write it.

Also what Harbor makes of the logs: the token counts and the cost that the given version
puts into its result files, right or wrong.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from agent_logs import (
    BEFORE,
    CLI_VERSION,
    Json,
    Run,
    Turn,
    cost_of,
    millis,
    spent,
    turns_of,
    write_lines,
    write_text,
)
from job_configs import since

CODEX_VERSION = "0.98.0"
PATCH = (
    "*** Begin Patch\n*** Update File: main.py\n@@\n"
    ' print("hello")\n+print("DEBUG")\n*** End Patch\n'
)
_GEMINI = {"Edit": "replace", "Read": "read_file"}


def _calls(turn: Turn) -> list[tuple[Json, Json]]:
    calls = [block for block in turn.blocks if block["type"] == "tool_use"]
    return list(zip(calls, turn.results, strict=True))


def _texts(turn: Turn) -> str:
    return "".join(block["text"] for block in turn.blocks if block["type"] == "text")


def _plain(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content)


def _server_and_tool(name: str) -> list[str] | None:
    return name.split("__")[1:] if name.startswith("mcp__") else None


# Codex


def write_codex(folder: Path, run: Run) -> None:
    """Write codex.txt and the rollout under sessions/."""
    write_lines(folder / "codex.txt", _codex_items(run))
    day = run.started.strftime("%Y/%m/%d")
    name = f"rollout-{run.started:%Y-%m-%dT%H-%M-%S}-{run.session}.jsonl"
    write_lines(folder / "sessions" / day / name, _rollout(run))


def _codex_items(run: Run) -> list[Json]:
    events: list[Json] = [{"type": "thread.started", "thread_id": run.session}]
    events.append({"type": "turn.started"})
    items: list[Json] = []
    for turn in turns_of(run):
        if _texts(turn):
            items.append({"type": "agent_message", "text": _texts(turn)})
        items += [_codex_item(call, result) for call, result in _calls(turn)]
    for number, item in enumerate(items):
        events.append({"type": "item.completed", "item": {"id": f"item_{number}", **item}})
    if run.failure:
        events.append({"type": "error", "message": run.failure})
        events.append({"type": "turn.failed", "error": {"message": run.failure}})
    elif run.ended:
        usage = _codex_usage(turns_of(run))
        usage.pop("total_tokens")
        events.append({"type": "turn.completed", "usage": usage})
    return events


def _codex_item(call: Json, result: Json) -> Json:
    failed = bool(result.get("is_error"))
    status = "failed" if failed else "completed"
    mcp = _server_and_tool(call["name"])
    if mcp:
        made: Json = {"type": "mcp_tool_call", "server": mcp[0], "tool": mcp[1], "status": status}
        said = _plain(result["content"])
        answer: Json = {"result": None, "error": {"message": said}}
        if not failed:
            content = [{"type": "text", "text": said}]
            answer = {"result": {"content": content, "structured_content": None}, "error": None}
        return made | {"arguments": call["input"]} | answer
    if call["name"] == "Edit":
        change = {"path": call["input"]["file_path"], "kind": "update"}
        return {"type": "file_change", "changes": [change], "status": status}
    item: Json = {"type": "command_execution", "command": "/bin/bash -lc 'cat main.py'"}
    return item | {"aggregated_output": BEFORE, "exit_code": 0, "status": status}


def _codex_usage(turns: list[Turn]) -> Json:
    """Sum tokens as Codex does: input has the cached part inside."""
    sums = _totals(turns, inside=True)
    usage = {"input_tokens": sums[0], "cached_input_tokens": sums[1], "output_tokens": sums[2]}
    return usage | {"reasoning_output_tokens": 0, "total_tokens": sums[0] + sums[2]}


def _rollout(run: Run) -> list[Json]:
    meta = {"id": run.session, "timestamp": millis(run.started), "cwd": "/app"}
    meta |= {"originator": "codex_exec", "cli_version": CODEX_VERSION, "source": "exec"}
    context = {"cwd": "/app", "approval_policy": "never", "model": run.model, "effort": "medium"}
    said = [{"type": "input_text", "text": run.instruction}]
    lines: list[tuple[str, Json]] = [("session_meta", meta), ("turn_context", context)]
    lines.append(("response_item", {"type": "message", "role": "user", "content": said}))
    turns = turns_of(run)
    for number, turn in enumerate(turns, 1):
        lines += [("response_item", item) for item in _response_items(turn)]
        info: Json = {"total_token_usage": _codex_usage(turns[:number])}
        info |= {"last_token_usage": _codex_usage([turn]), "model_context_window": 272000}
        lines.append(("event_msg", {"type": "token_count", "info": info}))
    if run.failure:
        lines.append(("event_msg", {"type": "error", "message": run.failure}))
    return [
        {"timestamp": millis(run.started + timedelta(seconds=n / 2)), "type": t, "payload": p}
        for n, (t, p) in enumerate(lines)
    ]


def _response_items(turn: Turn) -> list[Json]:
    items: list[Json] = []
    if _texts(turn):
        content = [{"type": "output_text", "text": _texts(turn)}]
        items.append({"type": "message", "role": "assistant", "content": content})
    for call, result in _calls(turn):
        mcp = _server_and_tool(call["name"])
        name, arguments = _native(call, "codex")
        own = {"call_id": call["id"], "status": "completed"}
        output = {"call_id": call["id"], "output": _plain(result["content"])}
        if call["name"] == "Edit":
            made = {"type": "custom_tool_call", "name": name, **arguments, **own}
            items += [made, {"type": "custom_tool_call_output", **output}]
            continue
        made = {"type": "function_call", "name": name, "arguments": json.dumps(arguments)}
        made |= {"namespace": f"mcp__{mcp[0]}"} if mcp else {}
        items += [made | own, {"type": "function_call_output", **output}]
    return items


# Gemini CLI


def write_gemini(folder: Path, run: Run, *, name: str = "gemini-cli.trajectory.json") -> None:
    """Write gemini-cli.txt and the CLI's own record (0.1.0 put it into trajectory.json)."""
    write_text(folder / "gemini-cli.txt", "".join(_texts(turn) + "\n" for turn in turns_of(run)))
    messages: list[Json] = [{"type": "user", "content": run.instruction}]
    for turn in turns_of(run):
        message: Json = {"type": "gemini", "content": _texts(turn), "thoughts": []}
        message |= {"tokens": _gemini_tokens(turn), "model": run.model}
        message["toolCalls"] = [_gemini_call(call, result) for call, result in _calls(turn)]
        messages.append(message)
    for number, message in enumerate(messages):
        when = millis(run.started + timedelta(seconds=number))
        message |= {"id": f"m{number}", "timestamp": when}
    record: Json = {"sessionId": run.session, "projectHash": "0" * 64, "messages": messages}
    record |= {"startTime": millis(run.started), "lastUpdated": messages[-1]["timestamp"]}
    write_text(folder / name, json.dumps(record, indent=2))


def _gemini_tokens(turn: Turn) -> Json:
    sent, cached, output = _totals([turn], inside=True)
    tokens = {"input": sent, "output": output, "cached": cached, "thoughts": 0, "tool": 0}
    return tokens | {"total": sent + output}


def _gemini_call(call: Json, result: Json) -> Json:
    name = _native(call, "gemini-cli")[0]
    output = {"output": _plain(result["content"])}
    answer = {"functionResponse": {"id": call["id"], "name": name, "response": output}}
    status = "error" if result.get("is_error") else "success"
    made = {"id": call["id"], "name": name, "args": call["input"]}
    return made | {"result": [answer], "status": status}


# What Harbor makes of it


def _totals(turns: list[Turn], *, inside: bool) -> tuple[int, int, int]:
    """Sum input with cache, cache reads, and output."""
    parts = spent(turns, inside=inside).values()
    read = sum(part["cache_read_input_tokens"] for part in parts)
    made = sum(part["cache_creation_input_tokens"] for part in parts)
    fresh = sum(part["input_tokens"] for part in parts)
    return fresh + made + read, read, sum(part["output_tokens"] for part in parts)


def converts(run: Run, version: str, agent: str) -> bool:
    """Tell whether the version made a trajectory of such a log."""
    if agent == "codex":
        return since(version, "0.1.36")
    if agent == "claude-code" and run.subagent == "folder" and not since(version, "0.3.0"):
        return version == "0.1.45"  # others took the subagents' folder for a second session
    return since(version, "0.1.1")


def counted(run: Run, version: str, agent: str) -> Json:
    """Give the token counts and cost of `agent_result` as the version reckons them."""
    turns = turns_of(run)
    claude = agent == "claude-code"
    unread = claude and since(version, "0.1.1") and not converts(run, version, agent)
    # Codex' rollouts were not understood, then (0.1.16) codex.txt was read instead.
    if unread or (agent == "codex" and not since(version, "0.1.16")):
        keys = ("n_input_tokens", "n_cache_tokens", "n_output_tokens", "cost_usd")
        return dict.fromkeys(keys)
    if claude:
        tokens = _claude_tokens(run, version)
        cost = _claude_cost(run, version)
    else:
        tokens = _totals(turns, inside=True)
        priced = {"codex": "0.6.0", "gemini-cli": "0.6.4"}.get(agent, "0.6.0")
        cost = cost_of(spent(turns, inside=True)) if since(version, priced) else None
    given = dict(zip(("n_input_tokens", "n_cache_tokens", "n_output_tokens"), tokens, strict=True))
    if agent == "gemini-cli" and not since(version, "0.1.1"):
        return given | {"n_cache_tokens": None, "cost_usd": None}
    return given | {"cost_usd": cost}


def _claude_tokens(run: Run, version: str) -> tuple[int, int, int]:
    turns = turns_of(run)
    inside = _sees_subagents(run, version)
    everything = turns + [sub for turn in turns for sub in turn.inside if inside]
    if not since(version, "0.1.1") and run.ended:
        usage = spent(turns, inside=False)[run.model]
        return usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]
    if not since(version, "0.2.0"):
        # Each content block was counted, with the usage that its message repeats.
        return _by_block(everything, with_cache=since(version, "0.1.1"))
    return _totals(turns, inside=inside)


def _sees_subagents(run: Run, version: str) -> bool:
    """Tell whether subagents count: those in a folder of their own did not for long."""
    late = since(version, "0.1.45") and not since(version, "0.19.0")
    return not (late and run.subagent == "folder")


def _by_block(turns: list[Turn], *, with_cache: bool) -> tuple[int, int, int]:
    sent = cached = output = 0
    for turn in turns:
        read = turn.usage["cache_read_input_tokens"]
        blocks = len(turn.blocks)
        sent += (turn.usage["input_tokens"] + (read if with_cache else 0)) * blocks
        cached += read * blocks
        # The stale counts of all blocks but the last: 2, 3, ...
        output += turn.usage["output_tokens"] + sum(range(2, blocks + 1))
    return sent, cached, output


def _claude_cost(run: Run, version: str) -> float | None:
    reported = since(version, "0.5.0") or not since(version, "0.1.1")
    if run.ended:
        return cost_of(spent(turns_of(run), inside=True)) if reported else None
    estimated = since(version, "0.19.0")
    return cost_of(spent(turns_of(run), inside=True)) if estimated else None


def atif_version(version: str, agent: str) -> str:
    """Give the schema version that the agent's converter wrote into its trajectories."""
    if since(version, "0.13.2"):
        return "ATIF-v1.7"
    if agent == "codex":
        return "ATIF-v1.5"
    return "ATIF-v1.6" if agent == "gemini-cli" and since(version, "0.1.44") else "ATIF-v1.2"


def write_atif(folder: Path, run: Run, version: str, agent: str) -> None:
    """Write trajectory.json as the agent's converter of that version does."""
    turns = turns_of(run)
    steps = [_prompt(run.instruction, agent, sidechain=False)]
    for turn in turns:
        steps += _steps(turn, version, agent, sidechain=False)
        if turn.inside and _sees_subagents(run, version):
            steps.append(_prompt(turn.blocks[-1]["input"]["prompt"], agent, sidechain=True))
            for inner in turn.inside:
                steps += _steps(inner, version, agent, sidechain=True)
    if run.failure and agent == "claude-code":
        steps.append({"source": "agent", "model_name": "<synthetic>", "message": run.failure})
    for number, step in enumerate(steps):
        when = millis(run.started + timedelta(seconds=number))
        steps[number] = {"step_id": number + 1, "timestamp": when, **step}
    cli = CODEX_VERSION if agent == "codex" else CLI_VERSION
    about = {"name": agent, "version": cli, "model_name": run.model}
    trajectory: Json = {"schema_version": atif_version(version, agent), "session_id": run.session}
    trajectory |= {"agent": about | {"extra": {"cwds": ["/app"]}}, "steps": steps}
    final = _final(counted(run, version, agent), len(steps))
    if agent == "claude-code":
        final["extra"] = _cache_totals(turns)
    trajectory["final_metrics"] = final
    write_text(folder / "trajectory.json", json.dumps(trajectory, indent=2))


def _cache_totals(turns: list[Turn]) -> Json:
    parts = spent(turns, inside=True).values()
    kinds = ("cache_creation_input_tokens", "cache_read_input_tokens")
    return {f"total_{kind}": sum(part[kind] for part in parts) for kind in kinds}


def _final(totals: Json, steps: int) -> Json:
    final = {
        "total_prompt_tokens": totals["n_input_tokens"],
        "total_completion_tokens": totals["n_output_tokens"],
        "total_cached_tokens": totals["n_cache_tokens"],
        "total_cost_usd": totals["cost_usd"],
        "total_steps": steps,
    }
    return {key: value for key, value in final.items() if value is not None}


def _prompt(text: str, agent: str, *, sidechain: bool) -> Json:
    step: Json = {"source": "user", "message": text}
    return step | ({"extra": {"is_sidechain": sidechain}} if agent == "claude-code" else {})


def _steps(turn: Turn, version: str, agent: str, *, sidechain: bool) -> list[Json]:
    """One step per message, or (until 0.13.0, not for Gemini) one per content block."""
    start = {"source": "agent", "model_name": turn.model}
    end: Json = {"metrics": _metrics(turn, version, agent)}
    if agent != "gemini-cli":
        end["extra"] = {"is_sidechain": sidechain, "cwd": "/app"}
    if since(version, "0.13.1") or agent == "gemini-cli":
        calls = _calls(turn)
        called = _called(calls, version, agent) if calls else {}
        step = start | {"message": _texts(turn)} | called
        return [step | ({"llm_call_count": 1} if since(version, "0.13.1") else {}) | end]
    steps: list[Json] = []
    if _texts(turn):
        steps.append(start | {"message": _texts(turn)} | end)
    for call, result in _calls(turn):
        said = f"Executed {_native(call, agent)[0]} {call['id']}"
        steps.append(start | {"message": said} | _called([(call, result)], version, agent) | end)
    # Claude's usage was said once per message from 0.2.0 on, Codex' not at all.
    for step in steps if agent == "codex" else steps[1:] if since(version, "0.2.0") else ():
        del step["metrics"]
    return steps


def _native(call: Json, agent: str) -> tuple[str, Json]:
    """Give the name and the arguments of a call as the agent itself has them."""
    mcp = _server_and_tool(call["name"])
    if agent not in ("codex", "gemini-cli"):
        return call["name"], call["input"]
    if mcp:
        return mcp[1], call["input"]
    if agent == "gemini-cli":
        return _GEMINI.get(call["name"], call["name"].lower()), call["input"]
    if call["name"] == "Edit":
        return "apply_patch", {"input": PATCH}
    return "exec_command", {"cmd": "cat main.py"}


def _called(calls: list[tuple[Json, Json]], version: str, agent: str) -> Json:
    made, results = [], []
    for call, result in calls:
        name, arguments = _native(call, agent)
        one: Json = {"tool_call_id": call["id"], "function_name": name, "arguments": arguments}
        structured = result["structured"]
        content = _plain(result["content"])
        if structured and agent == "claude-code":
            content += f"\n\n[metadata] {json.dumps(structured)}"
        answer: Json = {"source_call_id": call["id"], "content": content}
        if since(version, "0.13.2"):
            one["extra"] = {"tool_use_name": name}
            raw = {"tool_use_id": call["id"], "type": "tool_result"}
            raw |= {k: result[k] for k in ("content", "is_error") if k in result}
            both = {"tool_use_result": structured, "raw_tool_result": raw}
            answer["extra"] = {"tool_result_metadata": both}
        made.append(one)
        results.append(answer)
    return {"tool_calls": made, "observation": {"results": results}}


def _metrics(turn: Turn, version: str, agent: str) -> Json:
    sent, cached, output = _totals([turn], inside=False)
    metrics: Json = {"prompt_tokens": sent, "completion_tokens": output, "cached_tokens": cached}
    if agent != "claude-code":
        return metrics
    extra = {key: turn.usage[key] for key in turn.usage if key.startswith("cache_")}
    if since(version, "0.23.0"):
        metrics["cost_usd"] = cost_of(spent([turn], inside=False))
        extra["cost_source"] = "litellm_estimate"
    return metrics | {"extra": extra}
