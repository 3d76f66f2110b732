"""Traces into files: our layout, and JSON lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

import msgspec

from evaltrace.errors import Problem
from evaltrace.trace import SCHEMA_VERSION, Input, Tool

HEAD_END = b'"traces":['
"""How the head line of our layout ends."""


def write_traces(
    out: BinaryIO,
    *,
    tool: Tool,
    inputs: list[Input],
    traces: Iterable[bytes],
    problems: list[Problem],
) -> int:
    """Write a file of traces and give their number.

    Each trace is encoded already. `problems` is read last: it may grow until `traces` ends.
    """
    head = {"schema_version": SCHEMA_VERSION, "tool": tool, "inputs": inputs}
    out.write(msgspec.json.encode(head)[:-1] + b"," + HEAD_END)
    written = _write_items(out, traces)
    out.write(b'\n],"problems":[')
    if _write_items(out, map(msgspec.json.encode, problems)):
        out.write(b"\n")
    out.write(b"]}\n")
    return written


def _write_items(out: BinaryIO, items: Iterable[bytes]) -> int:
    number = 0
    for number, item in enumerate(items, start=1):
        out.write((b"\n" if number == 1 else b",\n") + item)
    return number


def write_jsonl(out: BinaryIO, traces: Iterable[bytes]) -> int:
    """Write encoded traces one a line and give their number."""
    written = 0
    for trace in traces:
        out.write(trace + b"\n")
        written += 1
    return written
