"""The store of a URL, opened once in a process."""

from __future__ import annotations

import os
from functools import cache
from typing import NoReturn

from evaltrace.errors import UnreadablePath
from evaltrace.remote.places import OBJECT_STORES, Place
from evaltrace.remote.stores import Store


def open_store(place: Place) -> Store:
    """Open the store that a place lies in; raises UnreadablePath.

    A process that was forked from one that has opened stores must not open any: the threads
    of their client are not there, and it would wait for ever.
    """
    if _opened_in and os.getpid() not in _opened_in:
        raise RuntimeError("forked after a store was opened; start this process anew (spawn)")
    _opened_in.add(os.getpid())
    return _store(place.scheme, place.bucket)


def forget_stores() -> None:
    """Open stores anew from now on, with the credentials of then."""
    _store.cache_clear()


_opened_in: set[int] = set()


@cache
def _store(scheme: str, bucket: str) -> Store:
    try:
        if scheme in OBJECT_STORES.values():
            from evaltrace.remote.buckets import Bucket

            return Bucket(scheme, bucket)
        from evaltrace.remote.filesystems import Filesystem

        return Filesystem(scheme, bucket)
    except ImportError as error:
        _raise_missing(Place(scheme, bucket, ""), error)


def _raise_missing(place: Place, error: ImportError) -> NoReturn:
    hint = "Install what URLs need: python -m pip install 'evaltrace[remote]'"
    what = f"no support for {place.scheme}:// is installed ({error.name or error})"
    raise UnreadablePath(what, where=place.url, hint=hint) from None
