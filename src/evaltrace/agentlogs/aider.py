"""Aider: its chat history (`aider.chat.history.md`) and what it prints (`aider.txt`).

Aider calls no tools: the model answers with edit blocks, which aider applies. The history
marks who speaks, so it comes first; it may begin with the chat of earlier processes.
Rules: Harbor format reference, section 4.2, and the sources of aider 0.86.

Token counts are rounded by aider, and its own estimate where it streams (its default);
then they know no cache. `sent` includes the cache: reads once, and writes once up to
0.86.1, twice from 0.86.2 on, which adds them to a count that holds them already.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from evaltrace.agentlogs.aider_edits import edits_in
from evaltrace.agentlogs.contents import http_status
from evaltrace.agentlogs.responses import to_response
from evaltrace.agentlogs.transcript import Breakdown, Spending, Transcript, add_usage
from evaltrace.agentlogs.values import LARGEST, MOST_DOLLARS
from evaltrace.patches.edits import Edit
from evaltrace.source import Source, path_in
from evaltrace.trace import Usage
from evaltrace.untrusted import printable

OUTPUT = "aider.txt"
HISTORY = "aider.chat.history.md"

_LIMIT = 32 * 2**20
_STARTED = "# aider chat started at "
_ASKED = "####"

_NUMBER = r"([\d.,]+[kM]?)"
_TOKENS = re.compile(rf"Tokens: {_NUMBER} sent(.*?), {_NUMBER} received\.")
_DECIMAL = re.compile(r"\d+(\.\d+)?", re.ASCII)
_DIGITS = 15
_CACHE = re.compile(rf"{_NUMBER} cache (write|hit)")
_COST = re.compile(r"Cost: \$[\d.]+ message, \$([\d.]+) session\.")
_VERSION = re.compile(r"[Aa]ider v?(\d+\.\d+[\w.]*)\s*$")
_MODEL = re.compile(r"(?:Main model|Model): (\S+)(?: with (\S+) edit format)?")
_APPLIED = re.compile(r"Applied edit to (.+?)\s*$")
_KNOWN = re.compile(r"Added (.+?) to the chat")
_FAILED = re.compile(r"litellm\.(?:\w+\.)?(\w+(?:Error|Exception|Timeout)|Timeout)\b")
_FULL = re.compile(r"Model .+ has hit a token limit!")
_OWN = re.compile(
    r"(?:Aider v|Main model: |Model: |Weak model: |Editor model: |Git repo: |Git working dir: "
    r"|Repo-map: |Added .+ to the chat|Applied edit to |Did not apply edit|Commit [0-9a-f]{7}"
    r"|Tokens: |Cost: \$|Creating empty file |Create new file|Skipping edits |Retrying in "
    r"|litellm\.|Warning: |Warning for |You can skip this check|Restored previous|Use /help "
    r"|Multiline mode|Running |Committing |Note: in-chat filenames|Cur working dir: "
    r"|Warmed |Allow edits |Add .+ to \.gitignore|Model .+ has hit a token limit)"
)
"""What aider itself says, where nothing else marks it."""


@dataclass
class _Chat:
    """What the lines of a log add up to."""

    transcript: Transcript
    path: str
    marked: bool
    turns: int = 0
    usage: Usage | None = None
    overdrawn: bool = False
    unreadable: int = 0
    cost: float | None = None
    writes_counted: int = 1
    shape: str = "diff"
    last_text: str | None = None
    _said: list[str] = field(default_factory=list)
    _asked: list[str] = field(default_factory=list)
    _pending: list[Edit] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)

    def take(self, line: str, number: int) -> None:
        """Take in one line."""
        if self.marked and line.startswith(_ASKED):
            self._close_answer()
            self._asked.append(line.removeprefix(_ASKED).removeprefix(" ").rstrip())
            return
        self._close_question()
        own = line.startswith("> ") if self.marked else False
        text = line.removeprefix("> ") if self.marked else line
        if own or _OWN.match(text):
            self._note(text, number)
        else:
            self._said.append(line)

    def close(self) -> None:
        """Take in what the log ends with."""
        self._close_question()
        self._close_answer()

    def _close_question(self) -> None:
        if not self._asked:
            return
        text, self._asked = "\n".join(self._asked), []
        self.transcript.add("message", role="user", text=text)
        self.transcript.prompt = self.transcript.prompt or text

    def _close_answer(self) -> None:
        text, self._said = "\n".join(self._said).strip("\n"), []
        if not text.strip() or not (self.marked or self.turns or self.transcript.model):
            return  # what is printed before aider's own first words is no answer
        self.transcript.add("message", role="assistant", text=text, model=self.transcript.model)
        self.last_text = text
        self._pending = edits_in(text, self.shape)

    def _note(self, text: str, number: int) -> None:
        tokens, applied = _TOKENS.match(text), _APPLIED.match(text)
        cost = _COST.search(text)
        if tokens is not None:
            self._close_answer()
            self._count(tokens)
        if cost is not None:
            self._spend(cost[1])
        if applied is not None:
            self._close_answer()
            self._apply(applied[1])
        elif known := _KNOWN.match(text):
            self._known.add(known[1])
        elif version := _VERSION.match(text):
            self.transcript.agent_version = version[1]
            self.writes_counted = 2 if _numbers(version[1]) >= (0, 86, 2) else 1
        elif model := _MODEL.match(text):
            self.transcript.model = model[1]
            self.shape = model[2] or self.shape
        elif failed := _FAILED.match(text):
            self._break(failed[1], text, number)
        elif _FULL.match(text):
            self._break("token_limit", text, number)

    def _break(self, kind: str, text: str, number: int) -> None:
        self._close_answer()
        message = text.strip()
        self.transcript.add("error", name=kind, error=message)
        self.transcript.breakdown = Breakdown(
            kind, message, http_status(message), self.path, number
        )

    def _spend(self, dollars: str) -> None:
        """Take in the cost so far; one that cannot be read leaves it unknown."""
        self.cost = _decimal_of(dollars)
        if self.cost is None or self.cost >= MOST_DOLLARS:
            self.cost = None
            self.unreadable += 1

    def _count(self, line: re.Match[str]) -> None:
        self.turns += 1
        self.transcript.breakdown = None  # an answer: what went wrong before was got over
        sent, output = _count_of(line[1]), _count_of(line[3])
        cache = {kind: _count_of(number) for number, kind in _CACHE.findall(line[2])}
        read, written = cache.get("hit"), cache.get("write")
        self.unreadable += [sent, output, *cache.values()].count(None)
        rest = (sent or 0) - (read or 0) - self.writes_counted * (written or 0)
        self.overdrawn |= sent is not None and rest < 0
        part = Usage(
            input_tokens=None if sent is None else max(rest, 0),
            output_tokens=output,
            cache_creation_input_tokens=written,
            cache_read_input_tokens=read,
        )
        self.usage = add_usage(self.usage, part)

    def _apply(self, path: str) -> None:
        """Record the edits of a file that aider applied."""
        edits = [edit for edit in self._pending if edit.path == path]
        self._pending = [edit for edit in self._pending if edit.path != path]
        for edit in edits or [Edit(path)]:
            # New text without a text to search for is put at the end of a file that exists.
            known = edit.created is True and path in self._known
            self.transcript.edited(None, Edit(path) if known else edit)
            self._known.add(path)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d{1,6}", version)[:3])


def _count_of(text: str) -> int | None:
    """Read a count like `12k` or `3.4k`; None where it is none, or beyond belief."""
    factor = {"k": 1000, "M": 1_000_000}.get(text[-1], 1)
    number = _decimal_of(text.rstrip("kM").replace(",", ""))
    count = None if number is None else round(number * factor)
    return count if count is not None and count <= LARGEST else None


def _decimal_of(text: str) -> float | None:
    """Read a plain decimal number of at most 15 digits."""
    known = len(text) <= _DIGITS + 1 and _DECIMAL.fullmatch(text) is not None
    return float(text) if known and len(text.replace(".", "")) <= _DIGITS else None


def read(
    source: Source, folder: str, *, prefix: str = "", keep_events: bool = True
) -> Transcript | None:
    """Read what aider left in `folder`; None when it left no log."""
    history, output = path_in(folder, HISTORY), path_in(folder, OUTPUT)
    chats = [
        _read_chat(source, path, Transcript(prefix=prefix, keep_events=keep_events))
        for path in (history, output)
        if source.exists(path)
    ]
    if not chats:
        return None
    chat = next((row for row in chats if row.turns), chats[0])
    transcript = chat.transcript
    if transcript.breakdown is None and not chat.turns:
        transcript.breakdown = chats[-1].transcript.breakdown
    transcript.turns = chat.turns or None
    transcript.doubt = "text for people: edits are read from the answers, tokens are rounded"
    transcript.sources["events"] = chat.path
    transcript.sources["tools"] = f"{chat.path}: aider calls no tools"
    _set_usage(chat, source)
    _set_response(chat)
    return transcript


def _read_chat(source: Source, path: str, transcript: Transcript) -> _Chat:
    chat = _Chat(transcript, path, marked=path.endswith(HISTORY))
    found = source.read_text(path, _LIMIT)
    text = printable(found.text) if found else ""
    if found is not None and found.digest is not None:
        message = f"{found.length} bytes; head and tail were read"
        source.report("log_cut", path, message, "Answers in between are not counted.")
    lines = text.split("\n")
    # Only the last chat is of this run; those before it were restored.
    starts = [number for number, line in enumerate(lines) if line.startswith(_STARTED)]
    first = starts[-1] + 1 if chat.marked and starts else 0
    for number, line in enumerate(lines[first:], first + 1):
        chat.take(line, number)
    chat.close()
    return chat


def _set_usage(chat: _Chat, source: Source) -> None:
    transcript = chat.transcript
    transcript.usage = chat.usage
    if chat.usage is not None:
        rule = "sum of Tokens lines, rounded by aider, and its estimate where it streams"
        transcript.sources["usage"] = f"{chat.path}: {rule}"
    if chat.overdrawn:
        message = "fewer tokens sent than cached; input is taken as 0 there"
        hint = "What was sent and what was cached can only be estimated from this log."
        source.report("usage_inconsistent", chat.path, message, hint)
    if chat.unreadable:
        message = f"{chat.unreadable} numbers of tokens or dollars could not be read"
        source.report("usage_incomplete", chat.path, message, "They were left out.")
    if chat.cost:
        transcript.spending = Spending(chat.cost, "reported")
        transcript.sources["cost"] = f"{chat.path}: last session cost, rounded by aider"


def _set_response(chat: _Chat) -> None:
    transcript = chat.transcript
    transcript.response = to_response(
        transcript,
        chat.last_text,
        True if transcript.breakdown else None,
    )
    transcript.sources["response"] = f"{chat.path}: last answer"
