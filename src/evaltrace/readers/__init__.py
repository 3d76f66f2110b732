"""Readers of harness output, one for each harness, and the walk that finds their trials.

A directory is recognised by what its files contain, never by its name. Adding a harness
is one module (or folder) here and one line in `READERS`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from evaltrace.errors import Problem, UnreadablePath
from evaltrace.readers import harbor
from evaltrace.source import Source

READERS = {"harbor": harbor}

_MAX_DEPTH = 16
_SKIPPED = {"node_modules", "_retries", "__pycache__"}


@dataclass
class JobFolder:
    """A directory that holds trials; `path` is None around a trial that lies on its own."""

    reader: str
    path: Path | None
    trials: set[Path] = field(default_factory=set)


@dataclass
class Walk:
    """What a walk over some directories found."""

    folders: dict[Path, JobFolder] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, key: Path, folder: JobFolder) -> None:
        """Add a job folder; trials of one that is there already are joined."""
        known = self.folders.setdefault(key, folder)
        known.trials |= folder.trials


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
            _add_children(source, _children(source), found, walk)
    return walk


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


class _Recognised(NamedTuple):
    reader: str
    kind: harbor.FolderKind


_Children = list[tuple[Source, _Recognised | None]]


def _recognise(source: Source) -> _Recognised | None:
    for name, reader in READERS.items():
        kind = reader.recognise(source)
        if kind is not None:
            return _Recognised(name, kind)
    return None


def _children(source: Source) -> _Children:
    names = [name for name in source.folders() if name[0] != "." and name not in _SKIPPED]
    boundary = Path(source.boundary)
    folders = [
        Source(source.root / name, boundary=boundary, label=f"{source.label}/{name}")
        for name in names
    ]
    return [(folder, _recognise(folder)) for folder in folders]


def _add_children(
    source: Source, children: _Children, found: _Recognised | None, walk: Walk, depth: int = 0
) -> None:
    """Add a folder's trials as a job, then look into its other folders."""
    trials: dict[str, set[Path]] = {found.reader: set()} if found else {}
    for child, kind in children:
        if kind and kind.kind == "trial":
            trials.setdefault(kind.reader, set()).add(Path(os.path.realpath(child.root)))
    for reader, paths in trials.items():
        # A trial without siblings and without job files around it lies on its own.
        alone = found is None and len(paths) == 1
        key = next(iter(paths)) if alone else source.root
        walk.add(key, JobFolder(reader, None if alone else source.root, paths))
    _keep_problems(source, bool(trials), walk)
    others = [(child, kind) for child, kind in children if not kind or kind.kind == "job"]
    if depth == _MAX_DEPTH and others:
        source.report("nested_too_deeply", "", "not looked into", "Name the jobs in it directly.")
        _keep_problems(source, bool(trials), walk)
        return
    for child, kind in others:
        _add_children(child, _children(child), kind, walk, depth + 1)


def _add_trial(trial: Path, reader: str, walk: Walk) -> None:
    """Add a trial that was named itself; a job around it lends its plan and its version."""
    above = Source(trial.parent, label=trial.parent.name)
    found = _recognise(above)
    siblings = sum(kind is not None and kind.kind == "trial" for _, kind in _children(above))
    in_job = found is not None or siblings > 1
    key = trial.parent if in_job else trial
    walk.add(key, JobFolder(reader, trial.parent if in_job else None, {trial}))


def _keep_problems(source: Source, is_job: bool, walk: Walk) -> None:
    # A job's problems are named from the job on, wherever the walk started.
    start = len(source.label) - len(source.root.name) if is_job else 0
    kept = [replace(problem, path=problem.path[start:]) for problem in source.problems]
    walk.problems += [problem for problem in kept if problem not in walk.problems]
