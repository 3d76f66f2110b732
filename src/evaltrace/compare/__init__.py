"""Two arms in, a comparison out.

Paths are read and reduced trace by trace (reading, reduction, keeping), made into arms (splitting)
and paired by task (pairing); each part of the report is measured by a module of its own and put
together in assembly.
"""

from evaltrace.compare.assembly import audit_paths, compare_paths, compare_traces, plan_paths
from evaltrace.compare.options import CompareOptions

__all__ = ["CompareOptions", "audit_paths", "compare_paths", "compare_traces", "plan_paths"]
