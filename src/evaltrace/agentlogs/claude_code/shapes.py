"""The shapes of Claude Code's lines: stream-json output and session files.

All fields may be missing; those of other line types stay None. Source: Harbor format
reference, section 4.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

from evaltrace.agentlogs.contents import Dollars
from evaltrace.agentlogs.faults import BRACE, REFUSED, LineFaults
from evaltrace.agentlogs.transcript import add_usage
from evaltrace.agentlogs.usage_shapes import to_model_usage
from evaltrace.agentlogs.values import LARGEST, Count
from evaltrace.jsontext import Malformed, decode
from evaltrace.source import Source
from evaltrace.source.texts import split
from evaltrace.trace import ModelUsage, Usage
from evaltrace.untrusted import clean

Raw = msgspec.Raw
ABSENT = Raw(b"null")
"""What a field that is not there is."""

Milliseconds = Annotated[float, msgspec.Meta(ge=0, le=LARGEST)]


class Block(msgspec.Struct, gc=False):
    """One content block of a message."""

    type: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = ABSENT
    text: str | None = None
    thinking: str | None = None
    tool_use_id: str | None = None
    content: Raw = ABSENT
    is_error: bool | None = None


class Spent(Usage, kw_only=True, gc=False):
    """Usage as a log gives it: a count that cannot be one is left out."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None


class Message(msgspec.Struct, gc=False):
    """An API message; `usage` is repeated on every line of the same id."""

    id: str | None = None
    model: str | None = None
    content: str | list[Block | str] | None = None
    usage: Spent | None = None


class ModelTotals(msgspec.Struct, rename="camel"):
    """One entry of a result's `modelUsage`."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    cost_usd: Dollars | None = msgspec.field(default=None, name="costUSD")


class Turn(msgspec.Struct, gc=False):
    """What a line of the conversation may have, in either log: most lines are no other."""

    type: str | None = None
    message: Message | str | None = None
    uuid: str | None = None
    timestamp: str | None = None
    parent_tool_use_id: str | None = None
    agentId: str | None = None
    isSidechain: bool | None = None
    isMeta: bool | None = None
    isSynthetic: bool | None = None
    isApiErrorMessage: bool | None = None
    api_error_status: int | None = None
    cwd: str | None = None
    version: str | None = None
    error: Any = None
    toolUseResult: Raw = ABSENT
    tool_use_result: Raw = ABSENT


class Line(Turn):
    """Any line of either log; fields of other line types stay None."""

    subtype: str | None = None
    session_id: str | None = None
    sessionId: str | None = None
    # the init line
    tools: Any = None
    mcp_servers: Any = None
    model: str | None = None
    claude_code_version: str | None = None
    # the result line
    is_error: bool | None = None
    duration_ms: Milliseconds | None = None
    duration_api_ms: Milliseconds | None = None
    num_turns: Count | None = None
    result: str | None = None
    errors: Any = None
    total_cost_usd: Dollars | None = None
    usage: Spent | None = None
    modelUsage: dict[str, Raw] | None = None
    permission_denials: Any = None


Numbered = tuple[int, Turn]
"""A line, and its number."""

_TURN = msgspec.json.Decoder(Turn, strict=False)
_LINE = msgspec.json.Decoder(Line, strict=False)
_TALK = ("assistant", "user")
_TOTALS = msgspec.json.Decoder(ModelTotals, strict=False)

_AT_ONCE, _LINES_AT_ONCE = 2**20, 2**13
"""Bytes and lines of a log up to which these are decoded together: that takes less time."""


def turns(
    source: Source,
    faults: LineFaults,
    *,
    sound: bool = False,
    few: bool = False,
    beside: int = 0,
) -> Iterator[Numbered]:
    """Read a log's lines; give those that can be used, with their numbers.

    With `sound` it ends at a line that is not UTF-8, which counts as mended; `few` tells that
    the first lines may do. So many other logs are read `beside` it, line by line in turn.
    """
    if few or source.size(faults.path) * (beside + 1) > _AT_ONCE:
        return _one_by_one(faults, source.lines(faults.path, few=few), sound)
    data = source.read(faults.path) or b""
    starts = _starts(data)
    found = _decoded(data) if starts else []
    if not found or len(found) != len(starts) - 1 or (sound and not is_utf8(data)):
        return _one_by_one(faults, split(data), sound)
    return _numbered(faults, data, starts, found)


def _starts(data: bytes) -> list[int]:
    """Give where the lines of a log start, and where one more would.

    None where a line does not begin and end as an object does: only between two such braces
    it is certain that a value ends with its line. None too where there are too many.
    """
    starts, end = [0], data.find(b"\n")
    while data[end - 1 : end + 2] == b"}\n{" and len(starts) < _LINES_AT_ONCE:
        starts.append(end + 1)
        end = data.find(b"\n", end + 1)
    last = len(data) if end < 0 else end
    return [*starts, last + 1] if data[:1] == b"{" and last >= len(data) - 1 else []


def _decoded(data: bytes) -> list[Turn]:
    try:
        return _TURN.decode_lines(data)
    except REFUSED:
        return []


def _numbered(
    faults: LineFaults, data: bytes, starts: list[int], found: list[Turn]
) -> Iterator[Numbered]:
    """Give lines that were decoded together; those that are not talk are decoded again."""
    faults.lines += len(found)
    for number, turn in enumerate(found, 1):
        if turn.type in _TALK:
            yield number, turn
            continue
        row = memoryview(data)[starts[number - 1] : starts[number] - 1]
        line = faults.patiently(number, row, _LINE)
        if line is not None:
            yield number, line


def _one_by_one(
    faults: LineFaults, rows: Iterable[tuple[int, memoryview | bytes]], sound: bool
) -> Iterator[Numbered]:
    checked: object = None
    for number, row in rows:
        faults.lines += 1
        if sound:
            # All of a file that is in memory at once, and once.
            whole = row.obj if isinstance(row, memoryview) else row
            if whole is not checked or not isinstance(whole, bytes):
                if not is_utf8(whole if isinstance(whole, bytes) else row):
                    faults.add("mended_lines", number, "invalid UTF-8")
                    return
                checked = whole
        if row[0] == BRACE:
            try:
                turn = _TURN.decode(row)
                if turn.type in _TALK:
                    yield number, turn
                    continue
            except REFUSED:
                pass
        line = faults.patiently(number, row, _LINE)
        if line is not None:
            yield number, line


def is_utf8(row: memoryview | bytes) -> bool:
    """Tell whether a line is sound UTF-8; the fast parser does not look at what it skips."""
    text = bytes(row)  # no copy of what are bytes
    try:
        return text.isascii() or bool(text.decode())
    except UnicodeDecodeError:
        return False


def model_totals(result: Line, faults: LineFaults, number: int) -> dict[str, ModelUsage]:
    """Turn a result's `modelUsage` into usage by model; an odd value costs only itself."""
    found: dict[str, ModelUsage] = {}
    mends: list[str] = []
    for name, raw in sorted((result.modelUsage or {}).items()):
        try:
            totals, mended = decode(memoryview(raw), _TOTALS)
        except Malformed as fault:
            faults.malformed(number, fault)
            continue
        if mended:
            mends.append(mended)
        found[clean(name)] = ModelUsage(
            input_tokens=totals.input_tokens,
            output_tokens=totals.output_tokens,
            cache_creation_input_tokens=totals.cache_creation_input_tokens,
            cache_read_input_tokens=totals.cache_read_input_tokens,
            cost_usd=totals.cost_usd,
        )
    if mends:
        faults.add("mended_lines", number, f"modelUsage: {', '.join(mends)}")
    return found


@dataclass(slots=True)
class Totals:
    """What the result events add up to: the last of each session counts for it."""

    by_model: dict[str, ModelUsage] = field(default_factory=dict)
    usage: Usage | None = None
    cost_usd: float | None = None


def sum_totals(sessions: Iterable[Totals]) -> Totals:
    """Add the totals of sessions."""
    total = Totals()
    for part in sessions:
        for name, row in part.by_model.items():
            known = total.by_model.get(name)
            total.by_model[name] = _plus(known, row) if known else row
        if part.usage is not None:
            total.usage = add_usage(total.usage, part.usage) if total.usage else part.usage
        if part.cost_usd:
            total.cost_usd = (total.cost_usd or 0) + part.cost_usd
    total.by_model = dict(sorted(total.by_model.items()))
    return total


def _plus(one: ModelUsage, other: ModelUsage) -> ModelUsage:
    both = to_model_usage(add_usage(one, other))
    if one.cost_usd is not None or other.cost_usd is not None:
        both.cost_usd = (one.cost_usd or 0) + (other.cost_usd or 0)
    return both


def blocks_of(message: Message) -> list[Block]:
    """Give a message's content as blocks; plain text is one."""
    content = message.content
    if content.__class__ is list and len(content) == 1 and content[0].__class__ is Block:
        return content  # type: ignore[return-value]
    if isinstance(content, str):
        return [Block(type="text", text=content)]
    return [
        Block(type="text", text=block) if isinstance(block, str) else block
        for block in content or []
    ]
