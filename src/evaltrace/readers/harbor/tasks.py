"""A task's own directory, where it can still be found as the trial recorded it.

Recorded places are tried (an absolute path, the harness's caches), then the folders that the
user names; never places relative to where the job lies today: moving a job must not change
its traces.
Source: Harbor format reference, section 6.
"""

from __future__ import annotations

import tomllib
import uuid
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from evaltrace.readers.harbor.records import dig, text
from evaltrace.source import Source

_CACHES = ("~/.cache/harbor/tasks", "~/.cache/sandbox/tasks")
_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_TEXT_LIMIT = 1_000_000


def find_task(
    reference: dict[str, Any],
    config: dict[str, Any],
    trial_uri: str | None,
    digest: str | None,
    below: Sequence[str] = (),
    looked: list[Source] | None = None,
) -> Source | None:
    """Find the task's directory; None unless it holds a task.toml and an instruction.

    `below` are folders of tasks to look into where none of the recorded places has it. Every
    directory that was looked for is added to `looked`.
    """
    try:
        places = _places(reference, config, _run_folder(config, trial_uri), digest)
    except (RuntimeError, ValueError):  # no home directory to expand ~ with, or no URI
        return None
    for place in [*places, *_below(below, reference)]:
        if "\0" in str(place) or not place.is_absolute():
            continue
        source = Source(place, label=f"task {place.name}")
        if looked is not None:
            looked.append(source)
        if source.has("task.toml") and (source.has("instruction.md") or source.has_folder("steps")):
            return source
    return None


def _places(
    reference: dict[str, Any], config: dict[str, Any], started_in: Path | None, digest: str | None
) -> list[Path]:
    path = text(reference.get("path"))
    package = _package(reference)
    if text(reference.get("git_url")):
        key = short_uuid(_git_key(reference))
        return [root / key / PurePosixPath(path or "").name for root in _roots(config, started_in)]
    if package:
        known = [text(reference.get("ref")), digest]
        hexes = [value.removeprefix("sha256:") for value in known if value]
        return [
            Path(root, "packages", *package, name)
            for root in _roots(config, started_in)
            for name in hexes
        ]
    return [_from(Path(path).expanduser(), started_in)] if path else []


def _below(folders: Sequence[str], reference: dict[str, Any]) -> list[Path]:
    if not folders:
        return []
    name = PurePosixPath(text(reference.get("path")) or text(reference.get("name")) or "").name
    return [Path(folder).resolve() / name for folder in folders if name]


def _package(reference: dict[str, Any]) -> tuple[str, str] | None:
    org, name = text(reference.get("org")), text(reference.get("name"))
    if org is None and name and not text(reference.get("path")):
        org, _, name = name.rpartition("/")
    return (org, name) if org and name else None


def _roots(config: dict[str, Any], started_in: Path | None) -> list[Path]:
    base = text(dig(config, "task", "download_dir"))
    return [_from(Path(place).expanduser(), started_in) for place in ([base] if base else _CACHES)]


def _from(place: Path, started_in: Path | None) -> Path:
    return started_in / place if started_in else place


def _run_folder(config: dict[str, Any], trial_uri: str | None) -> Path | None:
    """Give the folder the job was started in: the trial's path without the relative part."""
    trials_dir, name = text(config.get("trials_dir")), text(config.get("trial_name"))
    if not (trial_uri and trials_dir and name) or trials_dir.startswith("/"):
        return None
    where = unquote(urlsplit(trial_uri).path)
    tail = f"/{trials_dir}/{name}"
    return Path(where.removesuffix(tail)) if where.endswith(tail) else None


def _git_key(reference: dict[str, Any]) -> str:
    commit = reference.get("git_commit_id")
    path = PurePosixPath(str(reference.get("path")))
    return (
        f"git_url={reference['git_url']!r} git_commit_id={commit!r} path=PosixPath({str(path)!r})"
    )


def short_uuid(name: str) -> str:
    """Give the 22-character UUID that Harbor files a task of that name under."""
    is_url = name.lower().startswith(("http://", "https://"))
    number = uuid.uuid5(uuid.NAMESPACE_URL if is_url else uuid.NAMESPACE_DNS, name).int
    digits = ""
    while number:
        number, rest = divmod(number, len(_ALPHABET))
        digits += _ALPHABET[rest]
    return digits.ljust(22, _ALPHABET[0])[:22][::-1]


def read_document(task: Source | None) -> dict[str, Any] | None:
    """Read the task.toml; None (and a problem of the task) where it is no TOML."""
    document = task.read_text("task.toml", _TEXT_LIMIT) if task else None
    if task is None or document is None:
        return None
    try:
        return tomllib.loads(document.text)
    except (tomllib.TOMLDecodeError, RecursionError) as fault:
        hint = "Category, difficulty, tags and MCP servers of the task are missing."
        task.report("malformed_toml", "task.toml", str(fault), hint)
        return None
