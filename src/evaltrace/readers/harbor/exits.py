"""The exit status of the agent's command, where the harness let it pass in silence.

Up to 0.1.45 a command that failed was verified like any other; only its return code tells.
Source: Harbor format reference, sections 1.2 and 4.
"""

from __future__ import annotations

from evaltrace.agentlogs.outputs import command_folders
from evaltrace.agentlogs.transcript import Breakdown
from evaltrace.failures import type_of_exit
from evaltrace.source import Source
from evaltrace.untrusted import excerpt

_CODE_LIMIT = 64
_OUTPUT_LIMIT = 4096
_MESSAGE_LIMIT = 500


def find_exit(source: Source, folder: str) -> Breakdown | None:
    """Find the exit status of the last command, if it is not 0."""
    for command in reversed(command_folders(source, folder)):
        path = f"{command}/return-code.txt"
        code = _code(source, path)
        if code is not None:
            return None if code == 0 else _to_breakdown(source, command, path, code)
    return None


def _code(source: Source, path: str) -> int | None:
    text = source.read_text(path, _CODE_LIMIT) if source.has(path) else None
    try:
        return int(text.text.strip()) if text else None
    except ValueError:
        source.report("return_code_unreadable", path, "not a whole number", None)
        return None


def _to_breakdown(source: Source, folder: str, path: str, code: int) -> Breakdown:
    said = _last_words(source, folder)
    message = f"exit status {code}" + (f": {said}" if said else "")
    return Breakdown(type_of_exit(code), message, None, path, 1)


def _last_words(source: Source, folder: str) -> str:
    """Give the last line of what the command printed, standard error first."""
    for name in ("stderr.txt", "stdout.txt"):
        path = f"{folder}/{name}"
        text = source.read_text(path, _OUTPUT_LIMIT) if source.has(path) else None
        lines = [line for line in (text.text if text else "").splitlines() if line.strip()]
        # A line of a log speaks of the agent's work, and may quote any failure.
        if lines and not lines[-1].lstrip().startswith("{"):
            return excerpt(lines[-1].strip(), _MESSAGE_LIMIT)
    return ""
