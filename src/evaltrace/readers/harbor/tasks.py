"""A task's own directory, where it can still be found as the trial recorded it.

Only recorded places are tried (an absolute path, the harness's caches), never places
relative to where the job lies today: moving a job must not change its traces.
Source: Harbor format reference, section 6.
"""

from __future__ import annotations

import tomllib
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from evaltrace.readers.harbor.records import dig, text
from evaltrace.source import Source

_CACHES = ("~/.cache/harbor/tasks", "~/.cache/sandbox/tasks")
_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_TEXT_LIMIT = 1_000_000


def find_task(
    reference: dict[str, Any], config: dict[str, Any], trial_uri: str | None, digest: str | None
) -> Source | None:
    """Find the task's directory; None unless it holds a task.toml and an instruction."""
    try:
        places = _places(reference, config, trial_uri, digest)
    except RuntimeError:  # no home directory to expand ~ with
        places = []
    for place in places:
        if "\0" in str(place):
            continue
        source = Source(place, label=f"task {place.name}")
        if source.has("task.toml") and (source.has("instruction.md") or source.has_folder("steps")):
            return source
    return None


def _places(
    reference: dict[str, Any], config: dict[str, Any], trial_uri: str | None, digest: str | None
) -> list[Path]:
    path = text(reference.get("path"))
    base = text(dig(config, "task", "download_dir"))
    roots = [Path(base)] if base else [Path(cache).expanduser() for cache in _CACHES]
    if text(reference.get("git_url")):
        key = short_uuid(_git_key(reference))
        return [root / key / Path(path or "").name for root in roots]
    if text(reference.get("org")) and text(reference.get("name")):
        name = Path("packages", str(reference["org"]), str(reference["name"]))
        hexes = [text(reference.get("ref")), digest]
        return [
            root / name / value.removeprefix("sha256:")
            for root in roots
            for value in hexes
            if value
        ]
    if path is None:
        return []
    place = Path(path).expanduser()
    if place.is_absolute():
        return [place]
    folder = _run_folder(config, trial_uri)
    return [folder / place] if folder else []


def _run_folder(config: dict[str, Any], trial_uri: str | None) -> Path | None:
    """Give the folder the job was started in: the trial's path without the relative part."""
    trials_dir, name = text(config.get("trials_dir")), text(config.get("trial_name"))
    if not (trial_uri and trials_dir and name) or Path(trials_dir).is_absolute():
        return None
    where = unquote(urlsplit(trial_uri).path)
    tail = f"/{trials_dir}/{name}"
    return Path(where.removesuffix(tail)) if where.endswith(tail) else None


def _git_key(reference: dict[str, Any]) -> str:
    commit = reference.get("git_commit_id")
    return (
        f"git_url={reference['git_url']!r} git_commit_id={commit!r} "
        f"path=PosixPath({str(reference.get('path'))!r})"
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


def read_metadata(task: Source | None) -> dict[str, Any] | None:
    """Read the task.toml; None where it is missing or no TOML."""
    document = task.read_text("task.toml", _TEXT_LIMIT) if task else None
    if document is None:
        return None
    try:
        return tomllib.loads(document.text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
