"""Planned trials into shards, shards into parts, by any engine, each exactly once.

An engine is a function like the built-in `map` whose results come in any order; for a
shard whose worker died it gives a `Lost`. A lost shard is done again, then halved, down to
the one trial that kills its worker even when it is alone: that trial becomes a problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from evaltrace.aggregate.parts import (
    Done,
    Lost,
    Outcome,
    Shard,
    halved_name,
    part_name,
    write_part,
    write_problem,
)
from evaltrace.aggregate.spooled import to_parcels
from evaltrace.errors import OutputFailure, Problem
from evaltrace.files import Folder, committed
from evaltrace.plan import Entry, Options, redaction_key
from evaltrace.pricing import AUTO, NONE, PACKAGE
from evaltrace.summary import TrialRow
from evaltrace.version import __version__

if TYPE_CHECKING:
    from evaltrace.remote import Spool

Map = Callable[[Callable[[Shard], Done], Sequence[Shard]], Iterable[Outcome]]
"""An engine: applies a function to shards; results in any order, `Lost` for dead workers."""

_TRIES = 2
"""How often a shard is given to a worker before it is halved."""
_LAST_TRIES = 3
"""How often a single trial is: machines also end for reasons of their own."""
_SHARDS, _MOST_SHARDS = 128, 2000
_MOST_TRIALS = 64


def plan_id(entries: Sequence[Entry], options: Options) -> str:
    """Give the id of what is to be done: the trials, how they are read, by which version."""
    given = {name: getattr(options, name) for name in options.__dataclass_fields__}
    given["prices"] = _prices(options.prices)
    given["redact"] = redaction_key(options)
    digest = sha256(msgspec.json.encode([__version__, given], order="sorted"))
    for row in entries:
        # What changes when a trial is run again, or ends.
        facts = (row.label, row.trace_id, row.attempt, row.configuration, row.started, row.finished)
        digest.update(msgspec.json.encode(facts))
    return digest.hexdigest()[:16]


def _prices(spec: str) -> list[str | None]:
    """Name a table of prices by what is in it, wherever it lies."""
    if spec == NONE:
        return [spec]
    if spec not in (AUTO, PACKAGE):
        return [sha256(Path(spec).read_bytes()).hexdigest()]
    try:
        return [spec, version(PACKAGE)]
    except PackageNotFoundError:
        return [spec, None]


def to_shards(entries: Sequence[Entry], options: Options, number: int = 0) -> list[Shard]:
    """Cut entries, in their order, into shards; without a number the same on every machine.

    Few trials each, so that workers that take one after the other end together; many where
    there are millions of trials, as a shard is a file.
    """
    trials = len(entries)
    length = max(1, min(trials // (number or _SHARDS), _MOST_TRIALS), -(-trials // _MOST_SHARDS))
    plan = plan_id(entries, options)
    return [
        Shard(f"part-{index:05}-{plan}", tuple(entries[start : start + length]))
        for index, start in enumerate(range(0, trials, length))
    ]


@dataclass(slots=True)
class ShardRun:
    """What became of shards so far; `done` and `halved` are names."""

    options: Options
    folder: Folder
    map: Map
    spools: Sequence[Spool] = ()
    done: set[str] = field(default_factory=set)
    halved: set[str] = field(default_factory=set)
    deaths: dict[str, int] = field(default_factory=dict)

    def write_parts(self, shards: Iterable[Shard]) -> Iterator[Shard]:
        """Have all shards written; give each shard, or part of one, when its part is there.

        Raises OutputFailure, and whatever the engine raises.
        """
        names = self.folder.names()
        found = [part for shard in shards for part in self._known(shard, names)]
        while found:
            yield from (part for part in found if part.name in self.done)
            waiting = [part for part in found if part.name not in self.done]
            lost: list[tuple[Shard, Lost]] = []
            for group in _groups(waiting, self.deaths):
                yield from self._write_group(group, lost)
            found = [part for shard, loss in lost for part in self._again(shard, loss)]

    def parts_of(self, shard: Shard) -> list[Shard] | None:
        """Give the parts of a shard, itself or of its halves; None while one is missing."""
        if shard.name in self.done:
            return [shard]
        if shard.name not in self.halved:
            return None
        halves = [self.parts_of(half) for half in _halves(shard)]
        return None if None in halves else [part for half in halves for part in half or ()]

    def _known(self, shard: Shard, names: set[str]) -> list[Shard]:
        """Give the shard, or what it was cut into by a run before."""
        if part_name(shard.name) in names:
            self.done.add(shard.name)
        elif halved_name(shard.name) in names:
            self.halved.add(shard.name)
            return [part for half in _halves(shard) for part in self._known(half, names)]
        return [shard]

    def _write_group(
        self, group: Sequence[Shard], lost: list[tuple[Shard, Lost]]
    ) -> Iterator[Shard]:
        by_name = {shard.name: shard for shard in group}
        work = partial(write_part, options=self.options, folder=self.folder)
        sent = [replace(row, parcels=to_parcels(row.entries, self.spools)) for row in group]
        for outcome in self.map(work, sent):
            shard = by_name.pop(outcome.name)
            if isinstance(outcome, Lost):
                lost.append((shard, outcome))
            else:
                self.done.add(shard.name)
                yield shard
        if by_name:
            raise OutputFailure("the engine left out shards", where=min(by_name))

    def _again(self, shard: Shard, lost: Lost) -> list[Shard]:
        """Tell what to do for a lost shard: the same, its halves, or (one trial) a problem."""
        deaths = self.deaths[shard.name] = self.deaths.get(shard.name, 0) + 1
        if deaths < (_LAST_TRIES if len(shard.entries) == 1 else _TRIES):
            return [shard]
        if len(shard.entries) == 1:
            write_problem(shard, _worker_died(shard.entries[0], lost), self.folder)
            self.done.add(shard.name)
            return [shard]
        with committed(self.folder, halved_name(shard.name)):
            self.halved.add(shard.name)
        return _halves(shard)


def _groups(shards: Sequence[Shard], deaths: dict[str, int]) -> Iterator[list[Shard]]:
    """Give what may be done side by side: a trial is alone after its first try.

    A worker may hold several shards when it dies, and only one of them killed it.
    """
    alone = [shard for shard in shards if len(shard.entries) == 1 and shard.name in deaths]
    others = [shard for shard in shards if not (len(shard.entries) == 1 and shard.name in deaths)]
    if others:
        yield others
    yield from ([shard] for shard in alone)


def _halves(shard: Shard) -> list[Shard]:
    middle = len(shard.entries) // 2
    parts = (shard.entries[:middle], shard.entries[middle:])
    return [Shard(f"{shard.name}-{half}", entries) for half, entries in enumerate(parts)]


def _worker_died(entry: Entry, lost: Lost) -> TrialRow:
    problem = Problem(
        code="worker_died",
        path=entry.label,
        message=f"reading it ended the process that read it, {_LAST_TRIES} times ({lost.reason})",
        hint="Aggregate this trial alone with --workers 1, with more memory, or look at its files.",
    )
    return TrialRow(label=entry.label, problems=[problem])
