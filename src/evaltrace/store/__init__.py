"""The store: traces that last, in one SQLite file that several programs write to at once.

What a benchmark trial or a finished run left is added whole; a live run comes as a session
and its events, one by one. Either is read back as a Trace, to the last field.
"""

from evaltrace.store.exact import to_json
from evaltrace.store.forms import (
    ArmTotals,
    Counts,
    Hit,
    Session,
    Stats,
    StoredEvent,
    Totals,
    TypeTotals,
    is_error,
)
from evaltrace.store.header import is_store
from evaltrace.store.opened import default_place
from evaltrace.store.opening import MEMORY
from evaltrace.store.searching import hits_in
from evaltrace.store.store import Store

__all__ = [
    "MEMORY",
    "ArmTotals",
    "Counts",
    "Hit",
    "Session",
    "Stats",
    "Store",
    "StoredEvent",
    "Totals",
    "TypeTotals",
    "default_place",
    "hits_in",
    "is_error",
    "is_store",
    "to_json",
]
