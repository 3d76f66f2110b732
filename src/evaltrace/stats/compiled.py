"""Compiled parts of scipy and numpy, loaded without the packages around them.

Those import a good deal that nothing here calls: most of their time, and half of their memory.
Only the command line asks for that. Other programs may use these packages too: another thread
would find something empty in their place, `numpy.random.bit_generator` would be missing for good.
"""

from __future__ import annotations

import importlib
import sys
import threading
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.random import PCG64

in_parts = False
"""Whether the program is our own, and nothing else in it needs these packages."""

_FUNCTIONS = ("betaincinv", "nctdtr", "ndtr", "ndtri", "stdtr", "stdtrit")


@cache
def special() -> Any:
    """Load the functions of scipy.special."""
    return _with("scipy.special", "_ufuncs", _FUNCTIONS)


def raw_stream(seed: int) -> PCG64:
    """Begin the stream of random bits of PCG64, which numpy keeps from version to version."""
    found: PCG64 = _with("numpy.random", "_pcg64", ("PCG64",)).PCG64(seed)
    return found


@cache
def _with(package: str, part: str, names: tuple[str, ...]) -> ModuleType:
    """Load the part of a package that has these names, or all of it where the part has not."""
    if package not in sys.modules and in_parts and threading.active_count() == 1:
        try:
            found = _load_alone(package, part)
        except (ImportError, AttributeError, TypeError):
            found = None
        if found is not None and all(hasattr(found, name) for name in names):
            return found
    return importlib.import_module(package)


def _load_alone(package: str, part: str) -> ModuleType | None:
    """Load a part of a package while something empty stands in the package's place."""
    spec = find_spec(package)  # which loads what is above it
    if spec is None or spec.submodule_search_locations is None:
        return None
    empty = ModuleType(package)
    empty.__path__ = list(spec.submodule_search_locations)
    sys.modules[package] = empty
    try:
        return importlib.import_module(f"{package}.{part}")
    finally:
        # Whoever asks for the package later gets all of it.
        if sys.modules.get(package) is empty:
            del sys.modules[package]
