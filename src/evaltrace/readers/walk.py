"""The walk that finds jobs and trials below any directory, each of them once.

A directory is recognised by what its files contain, never by its name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from evaltrace.errors import Problem, UnreadablePath
from evaltrace.readers import READERS, FolderKind, Glance
from evaltrace.source import Source, readable

_MAX_DEPTH = 16
_SKIPPED = {"node_modules", "_retries", "__pycache__"}


@dataclass
class JobFolder:
    """A directory that holds trials, by their names; no job around a trial that lies on its own.

    `wanted` are the trials that were named themselves, None when the whole job was;
    `unchanged` are those that are known and were not looked into. Of others, `glances` has what
    was seen of them.
    """

    reader: str
    path: Path
    is_job: bool
    trials: set[str] = field(default_factory=set)
    wanted: set[str] | None = None
    unchanged: set[str] = field(default_factory=set)
    glances: dict[str, Glance] = field(default_factory=dict)


class Known(Protocol):
    """What knows trials that need not be looked into."""

    def readers_of(self, job: Path, names: Sequence[str]) -> dict[str, str]:
        """Name the reader of each folder of a job that is an unchanged trial."""


@dataclass
class Walk:
    """What a walk over some directories found."""

    folders: dict[Path, JobFolder] = field(default_factory=dict)
    problems: dict[Problem, None] = field(default_factory=dict)
    seen: set[Path] = field(default_factory=set)
    known: Known | None = None


class _Recognised(NamedTuple):
    reader: str
    kind: FolderKind


class _Child(NamedTuple):
    """A folder in a directory; `source` only where it may be looked into further.

    It is `here` unless a link leads to it from here.
    """

    name: str
    source: Source | None
    found: _Recognised | None
    here: bool = True
    known: bool = False
    glance: Glance | None = None


def find_jobs(paths: Iterable[Path], known: Known | None = None) -> Walk:
    """Find every job and trial in and below the paths, each once.

    Trials that are `known` are not looked into. Raises UnreadablePath for a path that is
    missing, no directory, or not permitted.
    """
    walk = Walk(known=known)
    for path in paths:
        root = _checked(path)
        source = Source(root, label=root.name)
        found = _recognise(source)
        if found and found.kind == "trial":
            _add_trial(root, found.reader, walk)
        else:
            _add_folder(source, found, walk, 0)
    return walk


def job_around(path: Path) -> Path | None:
    """Give the job or trial that a path lies in, None where it lies in none."""
    place = Path(os.path.realpath(path))
    return next((folder for folder in place.parents if _recognise(Source(folder))), None)


def _checked(path: Path) -> Path:
    try:
        root = Path(os.path.realpath(path, strict=True))
        if not root.is_dir():
            hint = "Name a trial, a job, or any folder above them."
            raise UnreadablePath("not a directory", where=str(path), hint=hint)
        os.scandir(root).close()
    except FileNotFoundError:
        hint = "Check the spelling; relative paths start where the command runs."
        raise UnreadablePath("no such directory", where=str(path), hint=hint) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = "Check its permissions."
        raise UnreadablePath(f"cannot be read ({reason})", where=str(path), hint=hint) from None
    return root


def _recognise(source: Source) -> _Recognised | None:
    for name, reader in READERS.items():
        kind = reader.recognise(source)
        if kind is not None:
            return _Recognised(name, kind)
    return None


def _look_at(source: Source) -> tuple[_Recognised | None, Glance | None]:
    """Recognise a directory, and see at once what orders a finished trial."""
    for name, reader in READERS.items():
        glance = reader.glance_at(source)
        if glance is not None:
            return _Recognised(name, "trial"), glance
    return _recognise(source), None


def _children(source: Source, walk: Walk) -> list[_Child]:
    """Recognise the folders in a directory; a link stands for what it leads to."""
    boundary, top = source.boundary, str(source.root)
    names = [name for name in source.folders() if name[0] != "." and name not in _SKIPPED]
    readers = walk.known.readers_of(source.root, names) if walk.known else {}
    children: list[_Child] = []
    for name in names:
        if name in readers:
            found = _Recognised(readers[name], "trial")
            children.append(_Child(name, None, found, known=True))
            continue
        place = source.place(name)
        above, own = os.path.split(place)
        child = Source(place, boundary=boundary, label=f"{source.label}/{own}")
        recognised, glance = _look_at(child)
        # There may be many trials: what their folders have in them is not kept.
        is_trial = recognised is not None and recognised.kind == "trial"
        further = None if is_trial else child
        children.append(_Child(own, further, recognised, above == top, glance=glance))
    return children


def _add_folder(source: Source, found: _Recognised | None, walk: Walk, depth: int) -> None:
    """Add a folder's trials as a job, then look into its other folders."""
    if source.root in walk.seen:
        return
    walk.seen.add(source.root)
    children = _children(source, walk)
    trials = _trials(children)
    if found or trials:
        # A trial without siblings and without job files around it lies on its own.
        alone = found is None and len(trials) == 1
        reader = found.reader if found else next(iter(trials.values()))
        key = source.root / next(iter(trials)) if alone else source.root
        walk.folders[key] = JobFolder(
            reader,
            source.root,
            not alone,
            set(trials),
            unchanged=_unchanged(children),
            glances=_glances(children),
        )
    others = [(child.source, child.found) for child in children if child.source is not None]
    if depth == _MAX_DEPTH and others:
        source.report("nested_too_deeply", "", "not looked into", "Name the jobs in it directly.")
        others = []
    _keep_problems(source, bool(found or trials), walk)
    for child, kind in others:
        _add_folder(child, kind, walk, depth + 1)


def _trials(children: list[_Child]) -> dict[str, str]:
    # A trial that is only linked from here belongs to the job that it lies in.
    return {
        child.name: child.found.reader
        for child in children
        if child.found and child.found.kind == "trial" and child.here
    }


def _unchanged(children: list[_Child]) -> set[str]:
    return {child.name for child in children if child.known}


def _glances(children: list[_Child]) -> dict[str, Glance]:
    return {child.name: child.glance for child in children if child.here and child.glance}


def _add_trial(trial: Path, reader: str, walk: Walk) -> None:
    """Add a trial that was named itself, within the job that lends its plan and siblings."""
    parent = trial.parent
    if parent not in walk.folders:
        source = Source(parent, label=parent.name)
        children = _children(source, walk)
        trials, found = _trials(children), _recognise(source)
        if found is None and len(trials) < 2:
            walk.folders.setdefault(trial, JobFolder(reader, parent, False, {trial.name}))
            return
        unchanged, glances = _unchanged(children), _glances(children)
        walk.folders[parent] = JobFolder(
            reader, parent, True, set(trials), set(), unchanged, glances
        )
    wanted = walk.folders[parent].wanted
    if wanted is not None:
        wanted.add(trial.name)


def _keep_problems(source: Source, is_job: bool, walk: Walk) -> None:
    # A job's problems are named from the job on, wherever the walk started.
    start = len(readable(source.label)) - len(readable(source.root.name)) if is_job else 0
    for problem in source.problems:
        walk.problems[replace(problem, path=problem.path[start:])] = None
