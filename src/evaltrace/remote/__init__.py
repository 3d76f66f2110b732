"""Inputs and outputs by URL: object stores, and what fsspec knows otherwise.

Readers know nothing of it: the objects of a trial are fetched, many at a time, and supply
the directory that a Source reads, so that remote and local give the same bytes. Nothing here
may be used in a process that was forked after its parent used it: start workers anew.
Whoever has no URL loads next to nothing of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from evaltrace.remote.places import is_url, url_of

if TYPE_CHECKING:
    from evaltrace.remote.fetching import READS
    from evaltrace.remote.folder import RemoteFolder
    from evaltrace.remote.parcels import Fetched, Parcel
    from evaltrace.remote.spool import Spool, spool_plan
    from evaltrace.remote.streams import open_input, whole_object

_PLACES = {
    "READS": "evaltrace.remote.fetching",
    "Fetched": "evaltrace.remote.parcels",
    "Parcel": "evaltrace.remote.parcels",
    "RemoteFolder": "evaltrace.remote.folder",
    "Spool": "evaltrace.remote.spool",
    "open_input": "evaltrace.remote.streams",
    "spool_plan": "evaltrace.remote.spool",
    "whole_object": "evaltrace.remote.streams",
}

__all__ = [
    "READS",
    "Fetched",
    "Parcel",
    "RemoteFolder",
    "Spool",
    "is_url",
    "open_input",
    "spool_plan",
    "url_of",
    "whole_object",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'evaltrace.remote' has no attribute {name!r}")
    value = getattr(import_module(_PLACES[name]), name)
    globals()[name] = value
    return value
