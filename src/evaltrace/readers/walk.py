"""The walk that finds jobs and trials below any directory, each of them once.

A directory is recognised by what its files contain, never by its name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from evaltrace.errors import Problem, UnreadablePath
from evaltrace.readers import READERS, FolderKind
from evaltrace.source import Source, readable

_MAX_DEPTH = 16
_SKIPPED = {"node_modules", "_retries", "__pycache__"}


@dataclass
class JobFolder:
    """A directory that holds trials; `path` is None around a trial that lies on its own.

    `wanted` are the trials that were named themselves, None when the whole job was.
    """

    reader: str
    path: Path | None
    trials: set[Path] = field(default_factory=set)
    wanted: set[Path] | None = None


@dataclass
class Walk:
    """What a walk over some directories found."""

    folders: dict[Path, JobFolder] = field(default_factory=dict)
    problems: dict[Problem, None] = field(default_factory=dict)
    seen: set[Path] = field(default_factory=set)


class _Recognised(NamedTuple):
    reader: str
    kind: FolderKind


_Children = list[tuple[Source, _Recognised | None]]


def find_jobs(paths: Iterable[Path]) -> Walk:
    """Find every job and trial in and below the paths, each once.

    Raises UnreadablePath for a path that is missing, no directory, or not permitted.
    """
    walk = Walk()
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


def _children(source: Source) -> _Children:
    """Recognise the folders in a directory; a link stands for what it leads to."""
    boundary = Path(source.boundary)
    children: _Children = []
    for name in source.folders():
        if name[0] != "." and name not in _SKIPPED:
            root = Path(os.path.realpath(source.root / name))
            child = Source(root, boundary=boundary, label=f"{source.label}/{root.name}")
            children.append((child, _recognise(child)))
    return children


def _add_folder(source: Source, found: _Recognised | None, walk: Walk, depth: int) -> None:
    """Add a folder's trials as a job, then look into its other folders."""
    if source.root in walk.seen:
        return
    walk.seen.add(source.root)
    children = _children(source)
    trials = _trials(children, source.root)
    if found or trials:
        # A trial without siblings and without job files around it lies on its own.
        alone = found is None and len(trials) == 1
        reader = found.reader if found else next(iter(trials.values()))
        key = next(iter(trials)) if alone else source.root
        walk.folders[key] = JobFolder(reader, None if alone else source.root, set(trials))
    others = [(child, kind) for child, kind in children if not kind or kind.kind == "job"]
    if depth == _MAX_DEPTH and others:
        source.report("nested_too_deeply", "", "not looked into", "Name the jobs in it directly.")
        others = []
    _keep_problems(source, bool(found or trials), walk)
    for child, kind in others:
        _add_folder(child, kind, walk, depth + 1)


def _trials(children: _Children, folder: Path) -> dict[Path, str]:
    # A trial that is only linked from here belongs to the job that it lies in.
    return {
        child.root: kind.reader
        for child, kind in children
        if kind and kind.kind == "trial" and child.root.parent == folder
    }


def _add_trial(trial: Path, reader: str, walk: Walk) -> None:
    """Add a trial that was named itself, within the job that lends its plan and siblings."""
    parent = trial.parent
    if parent not in walk.folders:
        source = Source(parent, label=parent.name)
        trials, found = _trials(_children(source), parent), _recognise(source)
        if found is None and len(trials) < 2:
            walk.folders.setdefault(trial, JobFolder(reader, None, {trial}))
            return
        walk.folders[parent] = JobFolder(reader, parent, set(trials), set())
    wanted = walk.folders[parent].wanted
    if wanted is not None:
        wanted.add(trial)


def _keep_problems(source: Source, is_job: bool, walk: Walk) -> None:
    # A job's problems are named from the job on, wherever the walk started.
    start = len(readable(source.label)) - len(readable(source.root.name)) if is_job else 0
    for problem in source.problems:
        walk.problems[replace(problem, path=problem.path[start:])] = None
