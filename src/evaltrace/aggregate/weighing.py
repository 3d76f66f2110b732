"""How much there is to read: whether workers pay, and which shards they begin with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import accumulate

from evaltrace.aggregate.parts import Shard
from evaltrace.plan import Entry

_WORTH_BYTES = 20_000_000
"""From so many bytes on, workers are started.

To start two takes hundredths of a second, to read this much tenths.
"""
_TRIAL_BYTES = 100_000
"""What a trial costs whatever its size, in bytes that would take as long to read."""
_FIRST = 16
_MOST_WEIGHED = 4096
_OUTLIER = 4


def workers_pay(entries: Sequence[Entry]) -> bool:
    """Tell whether reading the trials takes long enough to start workers for it."""
    if len(entries) < 2:
        return False
    weights = (_TRIAL_BYTES + trial_bytes(entry) for entry in entries)
    return any(weight >= _WORTH_BYTES for weight in accumulate(weights))


def trial_bytes(entry: Entry) -> int:
    """Give the bytes of a trial's agent logs, which are most of what there is to read."""
    size = 0
    with suppress(OSError), os.scandir(f"{entry.place}/agent") as files:
        for file in files:
            with suppress(OSError):
                size += file.stat().st_size
    return size


def heavy_first(shards: Iterable[Shard]) -> Iterator[Shard]:
    """Give shards in their order, but those far above the mean weight before others.

    A worker that begins with one at the end lets all others wait. The first shards come
    before anything is weighed, so that this costs no time where workers read already.
    """
    given = list(shards)
    yield from given[:_FIRST]
    rest = given[_FIRST:]
    if not rest or sum(len(shard.entries) for shard in rest) > _MOST_WEIGHED:
        yield from rest
        return
    weights = {shard.name: sum(map(trial_bytes, shard.entries)) for shard in rest}
    limit = _OUTLIER * sum(weights.values()) / len(rest)
    yield from sorted(rest, key=lambda shard: -max(weights[shard.name] - limit, 0))
