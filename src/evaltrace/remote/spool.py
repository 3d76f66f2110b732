"""A remote folder of jobs, as far as planning reads it, on this disk.

The folders are there, and the small files by which jobs and trials are recognised and
ordered. What else a trial has is fetched when it is read, as a parcel.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from evaltrace.errors import Problem, UnreadablePath
from evaltrace.remote.fetching import READS, Fetcher, File
from evaltrace.remote.listing import Level, Listing, list_pages
from evaltrace.remote.names import why_unusable
from evaltrace.remote.opening import open_store
from evaltrace.remote.parcels import Load, Parcel
from evaltrace.remote.places import Place, to_place
from evaltrace.remote.planned import Planned
from evaltrace.remote.stores import Object, Refused, Store
from evaltrace.remote.threads import Threads, interruptible
from evaltrace.source import MAX_DOCUMENT, readable, supplied

_FILES = ("config.json", "lock.json", "result.json")
_JOB_LOG = "job.log"
_PRESENT = (_JOB_LOG, "verifier/test-stderr.txt")
"""Files whose presence tells something to the plan, but not their content."""

_TRIAL_PARTS = ("agent", "verifier", "steps")
_INNER = (*_TRIAL_PARTS, "artifacts", "environment", "tests")
_LOOKED_AT = {*_TRIAL_PARTS, "agent/command-0", "agent/commands"}
"""Folders of a trial whose presence tells something to the plan."""

_COMMAND = "agent/command-0/command.txt"


@dataclass(frozen=True)
class Spool:
    """A remote folder that was listed; it can be pickled, for processes of this machine.

    `root` is what to plan while the tree is `at_hand`: a folder with the layout below the
    URL, read by sources only. `problems` are those of objects that cannot be files, or could
    not be fetched for the plan.
    """

    url: str
    place: Place
    root: Path
    tree: Path
    listing: Path
    problems: list[Problem] = field(default_factory=list)

    def parcel(self, trials: Iterable[Path]) -> Parcel:
        """Give trials of the plan as something that is fetched: here or on another machine."""
        paths = [str(path) for path in trials]
        names = [self._name(path) for path in paths]
        found = Listing(self.listing).below(names)
        loads = (Load.of(*row) for row in zip(paths, names, found, strict=True))
        return Parcel(self.place, str(self.tree.parent), tuple(loads))

    @contextmanager
    def at_hand(self) -> Iterator[None]:
        """Let the tree be planned within the block."""
        with closing(Planned(self.tree.parent)) as planned, supplied(str(self.tree), planned):
            yield

    def sizes(self, trials: Iterable[Path]) -> list[int]:
        """Give the bytes of each trial."""
        found = Listing(self.listing).below(self._name(str(path)) for path in trials)
        return [sum(row.size for row in objects) for objects in found]

    def fingerprints(self, trials: Iterable[Path]) -> list[str | None]:
        """Name the content of each trial; None where the store keeps no tag of an object."""
        found = Listing(self.listing).below(self._name(str(path)) for path in trials)
        return [_fingerprint(objects) for objects in found]

    def _name(self, path: str) -> str:
        return os.path.relpath(path, self.tree)


def spool_plan(url: str, folder: Path, *, reads: int = READS) -> Spool:
    """List what is below a URL, and fetch into an empty folder what planning reads of it.

    Raises UnreadablePath.
    """
    named = to_place(url)
    reason = why_unusable(named.key or named.bucket)
    if reason:
        raise UnreadablePath(f"cannot be a folder: {reason}", where=url)
    store = open_store(named)
    tree = Path(os.path.realpath(folder), "tree")
    tree.mkdir()
    listing = Listing(tree.parent / "objects.sqlite")
    try:
        level = interruptible(store.level, named.prefix)
        place = _place_to_list(named, level)
        problems = listing.add(list_pages(store, named.prefix, level, _top(named, place)))
        if place != named:
            problems += listing.add(_around(store, place, named, reads))
    except Refused as error:
        hint = "Check that these credentials may list the bucket."
        raise UnreadablePath(f"not permitted ({error})", where=url, hint=hint) from None
    root = tree / _top(named, place)
    root.mkdir(parents=True, exist_ok=True)
    with closing(Planned.make(tree.parent)) as planned:
        problems += _write_tree(store, place, listing, planned, reads)
    if not any(listing.folders()):
        _raise_nothing(store, named)
    return Spool(url, place, root, tree, listing.path, sorted(problems, key=_order))


def _place_to_list(named: Place, level: Level) -> Place:
    """Give the job around what looks like a trial, which lends its plan and siblings."""
    names, objects = level
    files = {row.key.removeprefix(named.prefix) for row in objects}
    trial = files & set(_FILES) and set(names) & set(_TRIAL_PARTS)
    return named.parent or named if trial else named


def _top(named: Place, place: Place) -> str:
    return place.name if named == place else f"{place.name}/{named.name}"


def _around(store: Store, place: Place, named: Place, reads: int) -> Iterator[list[Object]]:
    """List a job's own files, and the top of each trial beside the one that was named."""
    names, objects = interruptible(store.level, place.prefix)
    yield [row._replace(key=f"{place.name}/{row.key[len(place.prefix) :]}") for row in objects]
    others = [place.below(name) for name in names if name != named.name and not why_unusable(name)]
    with Threads(reads) as pool:
        levels = [pool.submit(store.level, other.prefix) for other in others]
        for other, level in zip(others, levels, strict=True):
            folders, found = level.result()
            top = f"{place.name}/{other.name}"
            yield [row._replace(key=f"{top}/{row.key[len(other.prefix) :]}") for row in found]
            yield [Object(f"{top}/{name}/", 0, None) for name in folders]


def _write_tree(
    store: Store, place: Place, listing: Listing, planned: Planned, reads: int
) -> list[Problem]:
    """Write down the folders, and fetch the files, that planning looks at."""
    trials = _trials(listing)
    planned.add_folders(path for path in listing.folders() if not _is_in_trial(path, trials))
    for row in listing.named(_PRESENT):
        if not _is_in_trial(row.key.rpartition("/")[0], trials):
            planned.add(row.key, b"")
    wanted = []
    for row in listing.named((*_FILES, _COMMAND)):
        if _is_inner(row.key, trials):
            continue
        if row.size > MAX_DOCUMENT:  # too large for any reader, which will say so
            planned.add_size(row.key, row.size)
        else:
            wanted.append(row)
    return _fetched(store, place, wanted, planned, reads)


def _trials(listing: Listing) -> set[str]:
    """Name the folders that look like trials: a job, too, may have the name of a trial's part."""
    around = {path.rpartition("/")[0] for path in listing.folders() if path.endswith(_TRIAL_ENDS)}
    with_files: set[str] = set()
    jobs: set[str] = set()
    for row in listing.named((*_FILES, _JOB_LOG)):
        folder, _, name = row.key.rpartition("/")
        (jobs if name == _JOB_LOG else with_files).add(folder)
    return (around & with_files) - jobs


_TRIAL_ENDS = tuple(f"/{name}" for name in _TRIAL_PARTS)


def _fetched(
    store: Store, place: Place, wanted: list[Object], planned: Planned, reads: int
) -> list[Problem]:
    start, problems = len(place.name) + 1, []
    with Fetcher(store, reads) as fetcher, TemporaryDirectory(prefix="evaltrace-") as aside:
        files = (
            File(row._replace(key=place.prefix + row.key[start:]), f"{aside}/{number}")
            for number, row in enumerate(wanted)
        )
        for row, (file, fault) in zip(wanted, fetcher.fetch(files), strict=True):
            if fault:
                problems.append(
                    Problem(
                        code=fault.code,
                        path=readable(row.key),
                        message=readable(fault.message),
                        hint=fault.hint,
                    )
                )
            content = file.whole()
            file.remove()
            if content is not None:
                planned.add(row.key, content)
            elif not fault:
                planned.add_folders([row.key])
    return problems


def _is_inner(key: str, trials: set[str]) -> bool:
    """Tell whether a file belongs to a trial's agent or tests, not to the trial's own files."""
    if key.endswith(f"/{_COMMAND}"):
        strange = _is_in_trial(key.rpartition("/")[0], trials)
        return strange or key.removesuffix(f"/{_COMMAND}") not in trials
    return any(rest.partition("/")[0] in _INNER for rest in _rests(key, trials) if "/" in rest)


def _is_in_trial(path: str, trials: set[str]) -> bool:
    """Tell whether a folder lies in a trial, and nobody looks at it."""
    return any(
        rest.partition("/")[0] in _INNER and rest not in _LOOKED_AT for rest in _rests(path, trials)
    )


def _rests(path: str, trials: set[str]) -> Iterator[str]:
    """Give what of a path is below each of the trials that it lies in."""
    slash = path.find("/")
    while slash >= 0:
        if path[:slash] in trials:
            yield path[slash + 1 :]
        slash = path.find("/", slash + 1)


def _fingerprint(objects: tuple[Object, ...]) -> str | None:
    if any(row.tag is None for row in objects):
        return None
    text = "\n".join(f"{row.key}\t{row.size}\t{row.tag}" for row in objects)
    return sha256(text.encode()).hexdigest()


def _raise_nothing(store: Store, named: Place) -> NoReturn:
    if named.key and interruptible(store.look, named.key):
        hint = "Name a trial, a job, or any folder above them."
        raise UnreadablePath("not a folder but an object", where=named.url, hint=hint)
    hint = "Check the spelling: nothing begins with this name and a slash."
    raise UnreadablePath("no such folder", where=named.url, hint=hint)


def _order(problem: Problem) -> tuple[str, str, str]:
    return problem.path, problem.code, problem.message
