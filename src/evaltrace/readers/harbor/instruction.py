"""What the agent was told: the task's instruction, and the request as it was sent.

Source: Harbor format reference, section 6 (six places, best first).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from evaltrace.readers.harbor.commands import Command
from evaltrace.readers.harbor.records import dig, text
from evaltrace.source import Source
from evaltrace.trace import AgentRequest

LIMIT = 1_000_000
"""Bytes read of an instruction."""

_COMMENT = re.compile(
    r"\A\s*(?:<!--(?:(?!-->).)*canary.*?-->|#[^\n]*canary[^\n]*(?:\n|\Z))", re.S | re.I
)
_NOTES = ("problem_statement.md", "instruction.txt", "episode-0/prompt.txt")

Told = tuple[str, str]
"""A text, and where it was found."""


def read_task_instruction(
    task: Source, document: dict[str, Any] | None, steps: Sequence[str]
) -> Told | None:
    """Read the instruction of the task's own directory, canary comments left out."""
    named = dig(document, "steps")
    listed = [text(dig(step, "name")) for step in named] if isinstance(named, list) else []
    names = [name for name in listed if name] or steps
    parts = [(name, _read(task, f"steps/{name}/instruction.md")) for name in names]
    told = [(name, part) for name, part in parts if part]
    if told:
        return joined(told), "steps/*/instruction.md of the task"
    whole = _read(task, "instruction.md")
    return (whole, "instruction.md of the task") if whole else None


def _read(task: Source, path: str) -> str | None:
    found = task.read_text(path, LIMIT)
    return without_canary(found.text) or None if found else None


def without_canary(text: str) -> str:
    """Drop leading comments that carry a benchmark canary."""
    while match := _COMMENT.match(text):
        text = text[match.end() :].lstrip("\n")
    return text


def joined(parts: Sequence[tuple[str, str]]) -> str:
    """Join texts of several steps, each below the step's name; one alone stays as it is."""
    if len(parts) == 1:
        return parts[0][1]
    return "\n\n".join(f"== step {name} ==\n{part}" for name, part in parts)


def read_notes(source: Source, folders: Sequence[str]) -> Told | None:
    """Read the file into which some agents put their instruction."""
    for folder in folders:
        for name in _NOTES:
            note = source.read_text(f"{folder}/{name}", LIMIT)
            if note and note.text.strip():
                return note.text, f"{folder}/{name}"
    return None


def from_commands(commands: Sequence[Command], steps: Sequence[str]) -> Told | None:
    """Give the prompts of the commands; those of several steps are joined."""
    prompts = [(command.prompt, command.where) for command in commands if command.prompt]
    if not prompts:
        return None
    # More commands than steps: the last ones are those of the last try.
    kept = prompts[-max(len(steps), 1) :]
    names = list(steps)[: len(kept)] or [""]
    return joined(list(zip(names, (prompt for prompt, _ in kept), strict=True))), kept[0][1]


def to_request(
    commands: Sequence[Command], sent: str | None, system: str | None
) -> AgentRequest | None:
    """Put together what was sent to the agent."""
    argv = commands[-1].argv if commands else None
    if sent is None and argv is None and system is None:
        return None
    return AgentRequest(prompt=sent, argv=argv, system_prompt=system)


def contains(sent: str, instruction: str) -> bool:
    """Tell whether what was sent has the instruction in it, white space aside."""
    return " ".join(instruction.split()) in " ".join(sent.split())
