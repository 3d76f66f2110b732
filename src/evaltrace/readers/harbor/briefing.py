"""What a trial was about: its task, what the agent was told, the tools it brought along.

Source: Harbor format reference, sections 5 and 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evaltrace.cuts import cut_text
from evaltrace.readers.harbor import config as configs
from evaltrace.readers.harbor.agent import to_tools
from evaltrace.readers.harbor.commands import Command, read_commands
from evaltrace.readers.harbor.instruction import (
    Told,
    contains,
    from_commands,
    joined,
    read_notes,
    read_task_instruction,
    to_request,
    without_canary,
)
from evaltrace.readers.harbor.records import dig
from evaltrace.readers.harbor.runs import Run
from evaltrace.readers.harbor.tasks import find_task, read_document
from evaltrace.readers.harbor.trial import TrialFiles
from evaltrace.source import Source
from evaltrace.trace import Trace
from evaltrace.untrusted import clean

_TEXT_LIMIT = 1_000_000


def add_task(
    trace: Trace,
    files: TrialFiles,
    runs: list[Run],
    steps: list[str],
    task_dirs: Sequence[str] = (),
) -> None:
    """Add the task, the instruction, the request and the tools."""
    reference = configs.task_ref(files.result, files.config) or {}
    uri = files.result.trial_uri if files.result else None
    folder = find_task(reference, files.config, uri, files.task_digest, task_dirs, files.elsewhere)
    document = read_document(folder)
    metadata = dig(document, "metadata")
    trace.task = configs.to_task(
        files.task_name, files.result, files.config, files.task_digest, metadata
    )
    trace.tools = to_tools(runs, _servers_asked(files, document))
    commands = read_commands(files.source)
    sent = _sent([run.prompt for run in runs], steps)
    plain = _sent([_without_canary(run.prompt) for run in runs], steps)
    told = _instruction(files.source, folder, document, plain, steps)
    _set_instruction(trace, told or _found(files.source, commands, steps))
    if folder is not None:
        files.source.problems += folder.problems
    _set_request(trace, runs, commands, sent or from_commands(commands, steps))


def _servers_asked(files: TrialFiles, document: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Name the MCP servers that the run's or the task's configuration asks for."""
    places = (
        (dig(files.config, "agent", "mcp_servers"), _place_of_servers(files.config_from)),
        (dig(document, "environment", "mcp_servers"), "task.toml: environment.mcp_servers"),
    )
    return [
        (clean(server["name"]), place)
        for servers, place in places
        for server in (servers if isinstance(servers, list) else [])
        if isinstance(server, dict) and isinstance(server.get("name"), str)
    ]


def _place_of_servers(config_from: str) -> str:
    """Name the place of the agent's servers, such as `lock.json: agent.mcp_servers`."""
    file, _, key = config_from.partition(",")[0].partition(": ")
    return f"{file}: {key + '.' if key else ''}agent.mcp_servers"


def _sent(prompts: list[Told | None], steps: list[str]) -> Told | None:
    """Give what the agents' logs say was sent, a step's name above each part."""
    names = steps or [""]
    told = [(name, *prompt) for name, prompt in zip(names, prompts, strict=True) if prompt]
    if not told:
        return None
    places = dict.fromkeys(where for _, _, where in told)
    return joined([(name, text) for name, text, _ in told]), "; ".join(places)


def _without_canary(told: Told | None) -> Told | None:
    # Before 0.2.0 the agent was sent the canary too; that made no other instruction of it.
    return (without_canary(told[0]), told[1]) if told else None


def _instruction(
    source: Source,
    folder: Source | None,
    document: dict[str, Any] | None,
    sent: Told | None,
    steps: list[str],
) -> Told | None:
    """Prefer the task's own text, unless the agent was sent another one."""
    own = read_task_instruction(folder, document, steps) if folder else None
    if own is None or sent is None or _agree(own[0], sent[0], steps):
        return own or sent
    what = "the task's directory has another instruction now than the agent was sent"
    source.report("task_changed", "", what, "What was sent is kept as the instruction.")
    return sent


def _agree(own: str, sent: str, steps: list[str]) -> bool:
    # A trial that ended early was not sent the instructions of its last steps.
    return contains(sent, own) or (len(steps) > 0 and contains(own, sent))


def _found(source: Source, commands: list[Command], steps: list[str]) -> Told | None:
    """Look for the instruction where neither the task nor a log has it."""
    folders = [f"steps/{name}/agent" for name in steps] or ["agent"]
    return _without_canary(from_commands(commands, steps) or read_notes(source, folders))


def _set_instruction(trace: Trace, told: Told | None) -> None:
    if told is not None:
        text, where = told
        trace.task_instruction = _cut(trace, "task_instruction", text)
        trace.sources["task_instruction"] = where


def _set_request(trace: Trace, runs: list[Run], commands: list[Command], sent: Told | None) -> None:
    systems = (run.transcript.system_prompt for run in runs if run.transcript)
    system = next((prompt for prompt in systems if prompt), None)
    trace.agent_request = to_request(commands, sent[0] if sent else None, system)
    if trace.agent_request and trace.agent_request.prompt:
        request = trace.agent_request
        request.prompt = _cut(trace, "agent_request.prompt", request.prompt or "")


def _cut(trace: Trace, name: str, text: str) -> str:
    kept, cuts = cut_text(name, clean(text), _TEXT_LIMIT)
    trace.truncated += cuts
    return kept
