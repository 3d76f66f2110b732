"""Readers of harness output, one for each harness, and the walk that finds their trials.

A directory is recognised by what its files contain, never by its name. Adding a harness
is one module (or folder) here and one line in `READERS`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

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
        if _kind(source) is None:
            _visit(source, None, walk, _MAX_DEPTH)
        elif _kind(source)[1] == "trial":  # type: ignore[index]
            _add_single(root, walk)
        else:
            _visit(source, _kind(source), walk, _MAX_DEPTH)
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


def _kind(source: Source) -> tuple[str, harbor.FolderKind] | None:
    for name, reader in READERS.items():
        kind = reader.recognise(source)
        if kind is not None:
            return name, kind
    return None


def _visit(
    source: Source, found: tuple[str, harbor.FolderKind] | None, walk: Walk, depth: int
) -> None:
    trials: dict[str, set[Path]] = {}
    others: list[tuple[Source, tuple[str, harbor.FolderKind] | None]] = []
    for name in source.folders():
        if name.startswith(".") or name in _SKIPPED:
            continue
        child = Source(
            source.root / name, boundary=Path(source.boundary), label=f"{source.label}/{name}"
        )
        kind = _kind(child)
        if kind and kind[1] == "trial":
            trials.setdefault(kind[0], set()).add(Path(os.path.realpath(child.root)))
        else:
            others.append((child, kind))
    if found and not trials:
        trials[found[0]] = set()
    for reader, paths in trials.items():
        alone = found is None and len(paths) == 1
        key = next(iter(paths)) if alone else source.root
        walk.add(key, JobFolder(reader, None if alone else source.root, paths))
    _keep_problems(source, bool(trials), walk)
    for child, kind in others if depth > 0 else ():
        _visit(child, kind, walk, depth - 1)


def _add_single(trial: Path, walk: Walk) -> None:
    """Add a trial that was named itself; a job around it lends its plan and its version."""
    parent = Walk()
    above = Source(trial.parent, label=trial.parent.name)
    _visit(above, _kind(above), parent, 0)
    reader = next(name for name, _ in [_kind(Source(trial)) or ("harbor", "trial")])
    folder = parent.folders.get(trial.parent)
    if folder is not None and trial in folder.trials:
        walk.add(trial.parent, JobFolder(reader, trial.parent, {trial}))
    else:
        walk.add(trial, JobFolder(reader, None, {trial}))


def _keep_problems(source: Source, is_job: bool, walk: Walk) -> None:
    # A job's problems are named from the job on, wherever the walk started.
    start = len(source.label) - len(source.root.name) if is_job else 0
    walk.problems += [replace(problem, path=problem.path[start:]) for problem in source.problems]
