"""What the agent was told: the task's instruction, and the request as it was sent.

Source: Harbor format reference, section 6 (six places, best first).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise

from evaltrace.source import Source
from evaltrace.trace import AgentRequest

LIMIT = 1_000_000
"""Bytes read of an instruction or a command."""

_LOG_LIMIT = 4_000_000
_COMMENT = re.compile(r"\A\s*(?:<!--(?:(?!-->).)*canary.*?-->|#[^\n]*canary[^\n]*\n)", re.S | re.I)
_COMMANDS = ("agent/command-1/command.txt", "agent/commands/command-1/command.txt")
_PROMPT_FLAGS = {"-p", "--print", "--", "--prompt", "--message", "--task", "-t", "--yolo"}
_NOTES = (
    "agent/problem_statement.md",
    "agent/instruction.txt",
    "agent/episode-0/prompt.txt",
)
_RUNNING = re.compile(
    r"^Running command: (.*?)(?=^(?:Running command: |Command (?:outputs captured|failed))|\Z)",
    re.S | re.M,
)


def read_task_instruction(task: Source | None, steps: list[str]) -> tuple[str, str] | None:
    """Read the instruction of the task's own directory, canary comment left out."""
    if task is None:
        return None
    whole = task.read_text("instruction.md", LIMIT)
    if whole:
        return without_canary(whole.text), "instruction.md of the task"
    parts = []
    for step in steps:
        part = task.read_text(f"steps/{step}/instruction.md", LIMIT)
        if part:
            parts.append(f"== step {step} ==\n{without_canary(part.text)}")
    return ("\n\n".join(parts), "steps/*/instruction.md of the task") if parts else None


def without_canary(text: str) -> str:
    """Drop leading comments that carry a benchmark canary."""
    while match := _COMMENT.match(text):
        text = text[match.end() :].lstrip("\n")
    return text


def read_sent_instruction(source: Source) -> tuple[str, str] | None:
    """Read the instruction from the agent's command, the trial's log or an agent's note."""
    for command, path in _commands(source):
        prompt = _prompt_of(command)
        if prompt:
            return prompt, path
    for path in _NOTES:
        note = source.read_text(path, LIMIT)
        if note and note.text.strip():
            return note.text, path
    return None


def read_request(source: Source, prompt: str | None, system: str | None) -> AgentRequest | None:
    """Put together what was sent; `{prompt}` stands for the prompt within argv."""
    argv = None
    for command, _ in _commands(source):
        sent = _prompt_of(command)
        argv = _argv_of(command, sent)
        if argv:
            prompt = prompt or sent
            break
    if prompt is None and argv is None and system is None:
        return None
    return AgentRequest(prompt=prompt, argv=argv, system_prompt=system)


def _commands(source: Source) -> Iterator[tuple[str, str]]:
    """Give the shell commands that started the agent, with where each was recorded."""
    for path in _COMMANDS:
        command = source.read_text(path, LIMIT)
        if command:
            yield command.text, path
    log = source.read_text("trial.log", _LOG_LIMIT) if source.has("trial.log") else None
    for match in reversed(list(_RUNNING.finditer(log.text if log else ""))):
        if "/logs/agent/" in match.group(1) and "tee " in match.group(1):
            yield match.group(1), "trial.log: Running command"
            return


def _tokens(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return []


def _prompt_of(command: str) -> str | None:
    tokens = _tokens(command)
    for flag, value in pairwise(tokens):
        if flag in _PROMPT_FLAGS and not value.startswith(("-", "2>", "|", ">")):
            return value if len(value) > 1 else None
    return None


def _argv_of(command: str, prompt: str | None) -> list[str] | None:
    argv: list[str] = []
    for token in _tokens(command):
        if token in (";", "&&", "then") or token.endswith(";"):
            argv = []
        elif token in ("|", "2>&1", "</dev/null", ">"):
            break
        elif argv or "=" not in token:
            argv.append("{prompt}" if token == prompt else token)
    return argv or None
