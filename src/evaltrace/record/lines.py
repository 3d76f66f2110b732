"""The lines of a journal: the first says what is recorded, each further one what happened."""

from __future__ import annotations

from typing import Any

import msgspec

from evaltrace.trace import Trigger, Truncation


class Head(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The first line: what is recorded, since when, and how.

    `file` is the name of the final file, reserved. `wall`, `steady` and `boot` are the clocks
    of the start, `store` the path of a store that gets the finished trace.
    """

    trace_id: str
    agent: str
    task_type: str
    started: float
    file: str
    wall: float = 0.0
    steady: float = 0.0
    boot: str | None = None
    context: dict[str, Any] | None = None
    trigger: Trigger | None = None
    task: str | None = None
    instruction: str | None = None
    model: str | None = None
    arm: str | None = None
    plan: str | None = None
    raw_limit: int = 4096
    fsync: bool = False
    strict: bool = False
    redact: bool = True
    store: str | None = None
    cuts: list[Truncation] = []


class Line(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One line after the first: an event, the close of one, a reward, or the end of the run.

    `at` is the time of writing in seconds since the epoch. `id` is unique among all writers:
    the writer's name, a dash, a number. `spent` (microseconds) and `lost` (events) are the
    writer's sums so far.
    """

    kind: str = "event"
    id: str = ""
    at: float = 0.0
    type: str | None = None
    parent: str | None = None
    name: str | None = None
    status: str | None = None
    started: float | None = None
    duration_ms: float | None = None
    role: str | None = None
    text: str | None = None
    reasoning: str | None = None
    input: Any = None
    output: str | None = None
    error: str | None = None
    usage: dict[str, int] | None = None
    model: str | None = None
    provider: str | None = None
    cost_usd: float | None = None
    data: dict[str, Any] | None = None
    outcome: str | None = None
    error_type: str | None = None
    value: float | None = None
    cuts: list[Truncation] | None = None
    spent: int = 0
    lost: int = 0


EVENT, CLOSE, REWARD, END = "event", "close", "reward", "end"
"""What a line can be."""

encode_line = msgspec.json.Encoder().encode
decode_line = msgspec.json.Decoder(Line).decode
decode_head = msgspec.json.Decoder(Head).decode
