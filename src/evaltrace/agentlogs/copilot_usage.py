"""What a run of the Copilot CLI used, from the three places that may tell.

Best is the count by model that a session writes when it ends, and what came after; the sum
over the requests where that is more; else the output tokens of the messages. Input counts
include the cache. A model that reports its output only has an input of 0 in these logs,
which stands for unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec

from evaltrace.agentlogs.transcript import Transcript, add_usage, total_usage
from evaltrace.agentlogs.usage_shapes import to_model_usage, usage_without_cache
from evaltrace.agentlogs.values import count_in, object_in
from evaltrace.source import Source
from evaltrace.times import elapsed_ms
from evaltrace.trace import Usage
from evaltrace.untrusted import clean

Counts = dict[str, Usage]


@dataclass(slots=True)
class _Part:
    """What one request used, or one message put out; `number` orders the parts and ends."""

    path: str
    number: int
    at: str | None
    model: str | None
    usage: Usage


@dataclass(slots=True)
class _End:
    """The counts by model that a session ended with."""

    number: int
    counts: Counts


@dataclass
class Spent:
    """The counts of a run while its logs are read."""

    ends: dict[str, list[_End]] = field(default_factory=dict)
    requests: list[_Part] = field(default_factory=list)
    messages: list[_Part] = field(default_factory=list)
    overdrawn: bool = False
    _last_end: str | None = None
    _number: int = 0

    def end(self, path: str, at: str | None, metrics: dict[str, Any]) -> None:
        """Take in the counts by model that a session ended with."""
        rows = {
            clean(model): self.usage_of(object_in(row, "usage")) for model, row in metrics.items()
        }
        self._number += 1
        if rows:
            self.ends.setdefault(path, []).append(_End(self._number, rows))
            if self._last_end is None or elapsed_ms(self._last_end, at):
                self._last_end = at

    def request(self, path: str, at: str | None, model: str | None, usage: Usage) -> None:
        """Take in what one request used."""
        self._number += 1
        self.requests.append(_Part(path, self._number, at, model, usage))

    def message(self, path: str, at: str | None, model: str | None, output: int | None) -> None:
        """Take in the output tokens of one message."""
        if output:
            self._number += 1
            usage = Usage(output_tokens=output)
            self.messages.append(_Part(path, self._number, at, model, usage))

    def settle(self, transcript: Transcript, source: Source) -> None:
        """Set the usage of the transcript from the best place."""
        counts, where = self._best(source)
        if not counts:
            return
        by_model = {name: to_model_usage(usage) for name, usage in counts.items()}
        transcript.usage = total_usage(by_model)
        transcript.model_usage = {name: row for name, row in sorted(by_model.items()) if name}
        transcript.sources["usage"] = where
        if self.overdrawn:
            message = "fewer input tokens than cached ones; the cache was not taken out of them"
            hint = "Take input tokens, and costs computed from them, for an upper bound."
            source.report("usage_inconsistent", where.partition(":")[0], message, hint)

    def _best(self, source: Source) -> tuple[Counts, str]:
        requests = _sum_of(self.requests)
        ended = self._ended(source) if self.ends else None
        if self.requests and (ended is None or _tokens(requests) > _tokens(ended[0])):
            return requests, f"{self.requests[0].path}: sum over requests"
        if ended is not None:
            return ended
        if self.messages:
            where = "output tokens of messages; the log has no input tokens"
            return _sum_of(self.messages), f"{self.messages[0].path}: {where}"
        return {}, ""

    def _ended(self, source: Source) -> tuple[Counts, str]:
        """Give the counts of the sessions' ends, and of what came after the last of them."""
        total, where = self._ends(), f"{next(iter(self.ends))}: session.shutdown, by model"
        requests, messages = (
            [part for part in parts if self._is_late(part)]
            for parts in (self.requests, self.messages)
        )
        late = requests if _output(_sum_of(requests)) >= _output(_sum_of(messages)) else messages
        if not late:
            return total, where
        if late is messages:
            message = "after the last session.shutdown only the output of messages is known"
            source.report("usage_incomplete", late[0].path, message, "The input is too low.")
        for part in late:
            _add(total, part.model, part.usage)
        what = "requests" if late is requests else "output tokens of messages"
        return total, f"{where}, and {what} after it"

    def _is_late(self, part: _Part) -> bool:
        """Tell whether a part came after the last end: by its file, else by its time."""
        own = self.ends.get(part.path)
        if own is not None:
            return part.number > own[-1].number
        return bool(elapsed_ms(self._last_end, part.at))

    def _ends(self) -> Counts:
        """Add up the ends; a resumed session may go on counting, or start again.

        Where counts grow, what requests and messages put out tells which it was.
        """
        last: Counts = {}
        every: Counts = {}
        for rows in self.ends.values():
            counts = [row.counts for row in rows]
            grows = all(_covers(later, earlier) for earlier, later in pairwise(counts))
            _merge(last, counts[-1:] if grows else counts)
            _merge(every, counts)
        told = max(
            _output(_sum_of(part for part in parts if not self._is_late(part)))
            for parts in (self.requests, self.messages)
        )
        goes_on = abs(told - _output(last)) <= abs(told - _output(every))
        return last if goes_on else every

    def usage_of(self, counts: dict[str, Any]) -> Usage:
        """Take the cache out of counts as Copilot writes them."""
        whole = count_in(counts, "inputTokens")
        output = count_in(counts, "outputTokens")
        read = count_in(counts, "cacheReadTokens")
        written = count_in(counts, "cacheWriteTokens")
        if output and not (whole or read or written):
            return Usage(output_tokens=output)
        if whole is not None and whole < (read or 0) + (written or 0):
            self.overdrawn = True
            return Usage(
                input_tokens=whole,
                output_tokens=output,
                cache_creation_input_tokens=written,
                cache_read_input_tokens=read,
            )
        return usage_without_cache(whole, output, read, written)


def _add(counts: Counts, model: str | None, usage: Usage) -> None:
    counts[model or ""] = add_usage(counts.get(model or ""), usage)


def _merge(total: Counts, rows: list[Counts]) -> None:
    for row in rows:
        for model, usage in row.items():
            _add(total, model, usage)


def _sum_of(parts: Iterable[_Part]) -> Counts:
    total: Counts = {}
    for part in parts:
        _add(total, part.model, part.usage)
    return total


def _output(counts: Counts) -> int:
    return sum(usage.output_tokens or 0 for usage in counts.values())


def _tokens(counts: Counts) -> int:
    return sum(sum(filter(None, msgspec.structs.astuple(usage))) for usage in counts.values())


def _covers(later: Counts, earlier: Counts) -> bool:
    """Tell whether later counts may include the earlier ones."""
    return all(
        (after or 0) >= (before or 0)
        for model, usage in earlier.items()
        for after, before in zip(
            msgspec.structs.astuple(later.get(model, Usage())),
            msgspec.structs.astuple(usage),
            strict=True,
        )
    )
