"""What a trace depends on besides the trial: the code that reads, and tables of prices."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import msgspec

from evaltrace.pricing import AUTO, NONE, PACKAGE
from evaltrace.schema import schema_text
from evaltrace.source import stamp_of
from evaltrace.version import __version__


@cache
def code_digest() -> str:
    """Name the code that reads trials: its version, and its files where somebody edits them."""
    versions = [__version__, msgspec.__version__, sys.version, schema_text("trace")]
    files = sorted(_stamps(os.path.dirname(os.path.dirname(__file__))))  # noqa: PTH120
    return _digest(versions, files)


def _stamps(folder: str, below: str = "") -> Iterator[tuple[str, int, int]]:
    # Each run does this: pathlib takes several times as long.
    with os.scandir(f"{folder}/{below}") as entries:
        for entry in entries:
            name = f"{below}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _stamps(folder, f"{name}/")
            elif name.endswith(".py"):
                stamp = stamp_of(f"{folder}/{name}")
                yield name, stamp.size, stamp.mtime_ns


def prices_digest(spec: str) -> str:
    """Name a table of prices by what is in it."""
    if spec == NONE:
        return NONE
    if spec in (AUTO, PACKAGE):
        found = find_spec("genai_prices")
        if found is None or found.origin is None:
            return spec
        return _digest(spec, sorted(_stamps(os.path.dirname(found.origin))))  # noqa: PTH120
    try:
        return _digest(spec, Path(spec).read_bytes())
    except OSError:
        return spec


def _digest(*parts: object) -> str:
    return sha256(msgspec.msgpack.encode(parts)).hexdigest()
