"""One event in full, with what stands around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from evaltrace.quantities import compact, counted, dollars
from evaltrace.reports.columns import columns, fill, head, line_of, lines_of
from evaltrace.trace import Event, Truncation, Usage
from evaltrace.viewer.clock import is_short, offset_words, took_words
from evaltrace.viewer.events import to_json
from evaltrace.viewer.rows import Row, RowMaker
from evaltrace.viewer.runs import Placed, Run
from evaltrace.viewer.timeline import RED, cut, painted, what_of

_LINES = 40
"""Lines that are shown of a text; half of them are its last."""

_LABEL = 13


class Detail(msgspec.Struct, kw_only=True):
    """An event with its place: the row of it and of its parent, and what was cut of its texts."""

    row: Row
    event: dict[str, Any]
    parent: Row | None = None
    children: int = 0
    truncated: list[Truncation] = []
    short: bool = False


def detail_of(run: Run, placed: Placed) -> Detail:
    """Describe an event of a run."""
    event = placed[1]
    truncated = run.trace.truncated if run.trace else []
    make = RowMaker(run)
    parent = run.find(event.parent_id) if event.parent_id is not None else None
    places = (f"events.{event.id}.", f"events[{event.id}].")
    return Detail(
        row=make.row(placed),
        event={name: msgspec.to_builtins(getattr(event, name)) for name in Event.__struct_fields__},
        parent=make.row(parent) if parent else None,
        children=run.count_children(event.id),
        truncated=[row for row in truncated if row.field.startswith(places)],
        short=is_short(run.duration_s),
    )


def to_document(detail: Detail) -> dict[str, Any]:
    """Convert a detail to plain data: all fields of the event, whole, and what stands around it."""
    row = detail.row
    return {
        **detail.event,
        "seq": row.seq,
        "depth": row.depth,
        "offset_ms": row.offset_ms,
        "failed": row.failed,
        "parent": msgspec.to_builtins(detail.parent),
        "children": detail.children,
        "truncated": msgspec.to_builtins(detail.truncated),
    }


def detail_lines(detail: Detail, width: int = 80, colour: bool = False) -> Iterator[str]:
    """Lay out an event as lines of at most `width` columns, long texts by both ends."""
    width = max(width, 40)
    row, event = detail.row, detail.event
    title = " ".join(filter(None, (row.type, row.name or row.role)))
    status = f"  {row.status}" if row.status else ""
    line = cut(f"{'✗ ' if row.failed else ''}{line_of(row.id)}  {line_of(title + status)}", width)
    yield painted(line, RED, colour) if row.failed else line
    for label, text in _facts(detail):
        yield from _labelled(label, text, width)
    for name in ("error", "text", "reasoning", "input", "output", "data"):
        if event.get(name) is not None:
            yield from ("", name)
            yield from _block(event[name], width)
            yield from _cut_note(detail, name)


def _facts(detail: Detail) -> Iterator[tuple[str, str]]:
    row, event = detail.row, detail.event
    if row.started_at:
        yield "started", f"{offset_words(row.offset_ms, detail.short)} at {row.started_at}"
    yield "took", took_words(row.duration_ms, "unknown")
    if detail.parent:
        yield "parent", f"{detail.parent.id} {detail.parent.type} {what_of(detail.parent, 60)}"
    elif row.parent_id:
        yield "parent", f"{row.parent_id}, which is not there"
    if detail.children:
        yield "children", f"{detail.children:,}: --tree --event {row.id}"
    model = " ".join(filter(None, (event.get("provider"), event.get("model"))))
    if model:
        yield "model", model
    if event.get("usage"):
        yield "tokens", _tokens(msgspec.convert(event["usage"], Usage))
    if event.get("cost_usd") is not None:
        yield "cost", dollars(event["cost_usd"])


def _tokens(usage: Usage) -> str:
    parts = {
        "in": usage.input_tokens,
        "out": usage.output_tokens,
        "cache write": usage.cache_creation_input_tokens,
        "cache read": usage.cache_read_input_tokens,
    }
    return " · ".join(
        f"{compact(number)} {name}" for name, number in parts.items() if number is not None
    )


def _labelled(label: str, text: str, width: int) -> Iterator[str]:
    first, *rest = fill(line_of(text).split(), width - _LABEL, " ") or [""]
    yield f"{label:<{_LABEL}}{first}"
    yield from (" " * _LABEL + line for line in rest)


def _block(value: Any, width: int) -> Iterator[str]:
    lines = [part for line in _lines(value) for part in _chunks(line, width - 2)]
    if len(lines) > _LINES + 1:
        note = f"… {counted(len(lines) - _LINES, 'more line')}: --format json has them …"
        lines[_LINES // 2 : -_LINES // 2] = [note]
    yield from (f"  {line}".rstrip() for line in lines)


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from lines_of(value)
        return
    if not isinstance(value, dict):
        yield line_of(to_json(value))
        return
    for key, item in value.items():
        first, *rest = lines_of(item) if isinstance(item, str) else [line_of(to_json(item))]
        if rest:
            yield f"{line_of(key)}:"
            yield from (f"  {line}" for line in (first, *rest))
        else:
            yield f"{line_of(key)}: {first}"


def _chunks(line: str, width: int) -> Iterator[str]:
    while columns(line) > width:
        part = head(line, width) or line[:1]
        yield part
        line = line[len(part) :]
    yield line


def _cut_note(detail: Detail, name: str) -> Iterator[str]:
    for row in detail.truncated:
        if row.field.endswith(f".{name}"):
            kept, whole = f"{row.kept_length:,}", f"{row.original_length:,}"
            yield f"  (recorded: {kept} of {whole} {row.unit})"
