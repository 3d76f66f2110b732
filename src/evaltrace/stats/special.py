"""scipy.special, loaded for what it computes alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

_UNUSED = frozenset({"f2py", "ma", "polynomial", "random", "testing"})
"""Parts of numpy that it loads when they are first asked for, and that scipy.special ignores."""


@cache
def special() -> Any:
    """Load scipy.special without the parts of numpy that it asks for and ignores.

    It copies all names that numpy lists, and so loads a compiler of Fortran and the tools of
    tests: two thirds of its memory. Those are not listed meanwhile.
    """
    with suppress(ImportError, AttributeError), _short_list():
        import scipy.special
    # Once more, with all that numpy lists, for a version that does not ignore them.
    import scipy.special

    return scipy.special


@contextmanager
def _short_list() -> Iterator[None]:
    """List of numpy's names all but the unused ones, for a moment."""
    import numpy as np

    listed, names_of = np.__all__, np.__dir__
    np.__all__ = [name for name in listed if name not in _UNUSED]
    np.__dir__ = lambda: [name for name in names_of() if name not in _UNUSED]  # type: ignore[method-assign]
    try:
        yield
    finally:
        np.__all__, np.__dir__ = listed, names_of  # type: ignore[method-assign]
