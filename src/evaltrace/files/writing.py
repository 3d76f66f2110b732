"""Traces into files: our layout, and JSON lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

import msgspec

from evaltrace.errors import Problem
from evaltrace.files.spans import Span, copy_span
from evaltrace.trace import SCHEMA_VERSION, Input, Tool

HEAD_END = b'"traces":['
"""How the head line of our layout ends."""

SEPARATOR = b",\n"
"""What stands between two traces, and after each trace that a Span names."""


def write_traces(
    out: BinaryIO,
    *,
    tool: Tool,
    inputs: list[Input],
    traces: Iterable[bytes | Span],
    problems: list[Problem],
) -> int:
    """Write a file of traces and give their number.

    Each trace is encoded already; a Span is of one trace and the SEPARATOR after it.
    `problems` is read last: it may grow until `traces` ends.
    """
    head = {"schema_version": SCHEMA_VERSION, "tool": tool, "inputs": inputs}
    out.write(msgspec.json.encode(head)[:-1] + b"," + HEAD_END)
    written = _write_items(out, traces)
    out.write(b'\n],"problems":[')
    if _write_items(out, map(msgspec.json.encode, problems)):
        out.write(b"\n")
    out.write(b"]}\n")
    return written


def _write_items(out: BinaryIO, items: Iterable[bytes | Span]) -> int:
    """Write items with SEPARATOR between; none is kept while the next one is made."""
    number, gap = 0, b"\n"
    held: Span | None = None
    for item in items:
        number += 1
        if held is not None:
            if isinstance(item, Span) and held.precedes(item):
                held = Span(held.path, held.offset, held.length + item.length)
                continue
            copy_span(held, out)
        out.write(gap)
        held = item if isinstance(item, Span) else None
        if isinstance(item, bytes):
            out.write(item)
        gap = SEPARATOR if held is None else b""
        del item
    # What follows the last item is not another one.
    if held is not None:
        copy_span(held.without(len(SEPARATOR)), out)
    return number


def _put(out: BinaryIO, item: bytes | Span) -> None:
    if isinstance(item, Span):
        copy_span(item, out)
    else:
        out.write(item)


def write_jsonl(out: BinaryIO, traces: Iterable[bytes | Span]) -> int:
    """Write encoded traces (Spans as for write_traces) one a line and give their number."""
    written = 0
    for trace in traces:
        _put(out, trace.without(len(SEPARATOR)) if isinstance(trace, Span) else trace)
        out.write(b"\n")
        written += 1
    return written
