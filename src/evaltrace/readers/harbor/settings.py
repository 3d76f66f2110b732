"""The files of a trial that hold settings, and so the secrets that the run was given."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from itertools import chain, islice

import msgspec

from evaltrace.errors import Problem
from evaltrace.readers.harbor.trial import TrialFiles
from evaltrace.redact import is_configuration
from evaltrace.source import Source, path_in
from evaltrace.untrusted import bounded

_PLACES = ("agent", "steps")
"""Where agents leave files; steps have folders of their own."""
_MOST_FOLDERS = 100
_MOST_FILES = 32
_TEXT_LIMIT = 16_384
_LARGEST = 4 * 2**20
_TOGETHER = 16 * 2**20
"""Bytes of one file, and of all."""


def read_settings(files: TrialFiles) -> tuple[list[tuple[str, bytes]], list[Problem]]:
    """Read the settings of a trial: how Harbor was told to run it, and the agent's own files.

    Those are looked for in the agent's folder, within bounds. What cannot be read is a problem.
    """
    source = files.source
    before = len(source.problems)
    found = [("config.json", part) for part in _configuration(files)]
    left = _TOGETHER
    names = chain(source.files(), *(_below(source, place) for place in _PLACES))
    for path in islice(filter(is_configuration, names), _MOST_FILES):
        content = source.read(path, min(_LARGEST, left))
        if content is not None:
            found.append((path, content))
            left -= len(content)
    return found, source.problems[before:]


def _configuration(files: TrialFiles) -> list[bytes]:
    """Give the parts of what Harbor was told, of which most are the same in other trials."""
    lock = {} if files.lock is None else msgspec.to_builtins(files.lock)
    told = [part for whole in (files.config, lock, files.sparse or {}) for part in whole.items()]
    return list({_encoded({key: value}): None for key, value in told if value})


def _encoded(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (ValueError, OverflowError, RecursionError):
        return json.dumps(bounded(value, _TEXT_LIMIT)).encode()


def _below(source: Source, folder: str) -> Iterator[str]:
    """Give the files below a folder, those of the folders above first."""
    waiting = deque([folder] if source.has_folder(folder) else [])
    for _ in range(_MOST_FOLDERS):
        if not waiting:
            return
        path = waiting.popleft()
        yield from (path_in(path, name) for name in source.files(path))
        waiting.extend(path_in(path, name) for name in source.folders(path))
