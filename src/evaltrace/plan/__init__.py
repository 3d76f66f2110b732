"""Which trials are read, in which order, with which numbers: the light first pass.

It reads only the small files of each trial and keeps only what orders it.
"""

from evaltrace.plan.entries import Entries, Entry
from evaltrace.plan.options import Options, reading_key, redaction_key, redactor_of
from evaltrace.plan.planning import Plan, plan_aggregation

__all__ = [
    "Entries",
    "Entry",
    "Options",
    "Plan",
    "plan_aggregation",
    "reading_key",
    "redaction_key",
    "redactor_of",
]
