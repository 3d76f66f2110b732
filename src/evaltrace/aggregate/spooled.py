"""Trials that are read here, wherever they lie: remote ones are fetched right before."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evaltrace.cache import Cache
from evaltrace.errors import NothingFound, Problem
from evaltrace.plan import Entry, Options, Plan, plan_aggregation, redactor_of
from evaltrace.redact import redact_records
from evaltrace.remote import is_url

if TYPE_CHECKING:
    from evaltrace.remote import Fetched, Parcel, Spool

Parcels = tuple["Parcel", ...]


@contextmanager
def open_plan(
    paths: Sequence[str | Path], options: Options | None = None, cache: Cache | None = None
) -> Iterator[Plan]:
    """Plan the trials below paths and URLs; what is remote can be read within the block.

    Raises what plan_aggregation raises, and UnreadablePath for a URL.
    """
    with ExitStack() as opened:
        spools = _spooled(sorted({str(path) for path in paths if is_url(path)}), opened)
        places = [spools[str(path)].root if is_url(path) else path for path in paths]
        try:
            plan = plan_aggregation(places, options, None if spools else cache)
        except NothingFound as error:
            raise NothingFound(
                error.what, where=", ".join(map(str, paths)), hint=error.hint
            ) from None
        plan.spools = list(spools.values())
        problems = [problem for spool in plan.spools for problem in spool.problems]
        redactor = redactor_of(plan.options)
        plan.problems += redact_records(redactor, problems) if redactor else problems
        yield plan


def _spooled(urls: Sequence[str], opened: ExitStack) -> dict[str, Spool]:
    spools: dict[str, Spool] = {}
    if not urls:
        return spools
    from evaltrace.remote import spool_plan

    # A worker elsewhere may still fetch into it when the run ends early.
    place = tempfile.TemporaryDirectory(prefix="evaltrace-", ignore_cleanup_errors=True)
    top = Path(opened.enter_context(place))
    for number, url in enumerate(urls):
        # Numbered: where trials are alike, their places decide which one is first.
        (folder := top / f"{number:06}").mkdir()
        spools[url] = spool_plan(url, folder)
        opened.enter_context(spools[url].at_hand())
    return spools


def to_parcels(entries: Sequence[Entry], spools: Sequence[Spool]) -> Parcels:
    """Give the remote ones of some trials as something that is fetched, on any machine."""
    parcels = []
    for spool in spools:
        paths = [entry.path for entry in entries if spool.root in (entry.path, *entry.path.parents)]
        if paths:
            parcels.append(spool.parcel(paths))
    return tuple(parcels)


def at_hand(entries: Sequence[Entry], parcels: Parcels) -> Generator[tuple[Entry, list[Problem]]]:
    """Give trials as they lie on this disk, one at a time, and what was wrong in fetching them.

    Those in no parcel are where the plan found them. Raises UnreadablePath.
    """
    if not parcels:
        yield from ((entry, []) for entry in entries)
        return
    wanted = {str(entry.path) for entry in entries}
    coming: dict[str, Iterator[Fetched]] = {}
    from evaltrace.remote.fetching import AHEAD, READS

    # All of them are under way side by side, in as many threads and as much memory as one.
    reads, ahead = max(READS // len(parcels), 4), AHEAD // len(parcels)
    with ExitStack() as opened:
        for parcel in parcels:
            loads = tuple(load for load in parcel.loads if load.trial in wanted)
            fetched = replace(parcel, loads=loads).fetch(reads=reads, ahead=ahead)
            opened.enter_context(closing(fetched))
            coming.update(dict.fromkeys((load.trial for load in loads), fetched))
        for entry in entries:
            stream = coming.get(str(entry.path))
            if stream is None:
                yield entry, []
                continue
            here = next(stream)
            yield _moved(entry, here.path), here.problems(entry.label)


def _moved(entry: Entry, path: Path) -> Entry:
    job = None if entry.job is None else replace(entry.job, path=path.parent)
    return replace(entry, folder=path.parent, name=path.name, job=job)
