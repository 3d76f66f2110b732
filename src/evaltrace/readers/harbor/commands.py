"""The shell commands that started an agent, as the harness recorded them.

Up to 0.1.45 each command has a folder, since 0.2.0 a line of `trial.log`.
Source: Harbor format reference, sections 1.2 and 6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from evaltrace.agentlogs.outputs import command_folders
from evaltrace.source import Source

LIMIT = 1_000_000
"""Bytes read of a command."""

_LOG_LIMIT = 4_000_000
_LOGGED = re.compile(r"^Running command: ", re.M)
_END = re.compile(r"^Command (?:outputs captured|failed)", re.M)
_WORD = re.compile(
    r"[ \t\r\n]*((?:[^ \t\r\n'\"\\]++|\\.|'[^']*+'|\"(?:[^\"\\]++|\\.)*+\")*+)", re.S
)
_QUOTE = re.compile(r"['\"\\]")
_PART = re.compile(r"'([^']*+)'|\"((?:[^\"\\]++|\\.)*+)\"|\\(.)", re.S)
_ESCAPED = re.compile(r"\\([\"\\])")
_FLAGS = {"-p", "--print", "--prompt", "--message", "--task", "-t", "--"}
_JOINED = re.compile(r"--(?:prompt|message|task|print|instruction)=(.+)", re.S)
_BETWEEN = {"|", "||", "&&", ";", "&", "then", "do", "fi"}
_BEFORE = {"export", "env", "exec", "if", "else", "sudo", "{", "("}
_REDIRECT = re.compile(r"[0-9&]?>|<[^<>]*$")
_VARIABLE = re.compile(r"\$\{?\w+\}?|\$\(.*\)", re.S)


@dataclass(frozen=True, slots=True)
class Command:
    """A command that ran the agent, taken apart; `{prompt}` stands for the prompt in `argv`."""

    argv: list[str]
    prompt: str | None
    where: str


def read_commands(source: Source) -> list[Command]:
    """Read the commands that ran the agent, in order: one for each step."""
    found = []
    for text, where in _texts(source):
        words = _agent_words(text) if _runs_agent(text) else []
        if words:
            place, prompt = _find_prompt(words)
            if place is not None and prompt is not None:
                words[place] = words[place].removesuffix(prompt) + "{prompt}"
            found.append(Command(words, prompt, where))
    return found


def _texts(source: Source) -> Iterator[tuple[str, str]]:
    found = False
    for folder in command_folders(source, "agent"):
        path = f"{folder}/command.txt"
        command = source.read_text(path, LIMIT)
        if command is not None:
            found = True
            yield command.text, path
    if not found and source.has("trial.log"):
        log = source.read_text("trial.log", _LOG_LIMIT)
        for part in _LOGGED.split(log.text)[1:] if log else ():
            yield _END.split(part, maxsplit=1)[0].rstrip("\n"), "trial.log: Running command"


def _runs_agent(text: str) -> bool:
    """Tell the agent's own command: its output is kept among the agent's logs."""
    return "/logs/agent/" in text and "tee " in text


def _agent_words(text: str) -> list[str]:
    """Give the words of the simple command whose output was kept."""
    tokens = split_words(text)
    if tokens is None:  # a quote that is never closed: the log was cut
        return []
    words: list[str] = []
    before: list[str] = []
    for token in tokens:
        if token == "tee" and not words:
            return before
        if token in _BETWEEN:
            before, words = words, []
        elif token.endswith(";") and _is_single(token):
            words = []
        elif not _is_redirect(token) and (words or not _is_setting(token)):
            words.append(token)
    return words


def split_words(text: str) -> list[str] | None:
    """Split a command as a shell does, None where it ends within a quote.

    The same as shlex.split, which goes from character to character.
    """
    words: list[str] = []
    end = 0
    for match in _WORD.finditer(text):
        if match.start() != end:
            return None
        word, end = match[1], match.end()
        if word:
            words.append(_PART.sub(_unquoted, word) if _QUOTE.search(word) else word)
    return words if end == len(text) else None


def _unquoted(part: re.Match[str]) -> str:
    single, double, escaped = part.groups()
    if double is not None:
        return _ESCAPED.sub(r"\1", double)
    return single if single is not None else escaped


def _find_prompt(words: list[str]) -> tuple[int | None, str | None]:
    """Find the prompt among the words of a command, and the place of its word."""
    for place, word in enumerate(words):
        joined = _JOINED.fullmatch(word)
        if joined and not _VARIABLE.fullmatch(joined.group(1)):
            return place, joined.group(1)
        if word in _FLAGS and place + 1 < len(words) and _is_prompt(words[place + 1], word):
            return place + 1, words[place + 1]
    return None, None


def _is_prompt(word: str, flag: str) -> bool:
    if _VARIABLE.fullmatch(word):
        return False
    # A single word with a dash is the next option, except where options have ended.
    return flag == "--" or not (word.startswith("-") and _is_single(word))


def _is_single(word: str) -> bool:
    return len(word.split(None, 1)) <= 1


def _is_redirect(word: str) -> bool:
    return _is_single(word) and _REDIRECT.match(word) is not None


def _is_setting(word: str) -> bool:
    return word in _BEFORE or re.match(r"[A-Za-z_]\w*=", word) is not None
