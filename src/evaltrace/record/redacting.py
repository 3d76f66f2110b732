"""Secrets of a run, replaced when its journal becomes a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from evaltrace.record.lines import Head
from evaltrace.trace import Trace


def without_secrets(trace: Trace, head: Head, pieces: Callable[[Trace], Iterable[bytes]]) -> Trace:
    """Replace the secrets of a trace, unless the run was told not to; the trace says which.

    `pieces` encode it bit by bit. Raises SecretsLeft.
    """
    # Loaded at the end of a run: a program that is recorded starts as fast without it.
    from evaltrace.redact import Redactor, marked, read_key, redact_in_pieces

    if not head.redact:
        return marked(trace, None)
    key, problem = read_key()
    if problem is not None:
        trace.problems = [*trace.problems, problem]
    redactor = Redactor(key=key)
    trace = marked(trace, redactor)
    return redact_in_pieces(redactor, trace, lambda: pieces(trace))
