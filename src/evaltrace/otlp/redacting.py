"""Secrets of spans that a program exports, replaced before a store gets them."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING

from evaltrace.trace import Event, Trace

if TYPE_CHECKING:
    from evaltrace.errors import Problem
    from evaltrace.redact import Redactor


class Redacting:
    """Replaces secrets, by the user's key unless a redactor is given; False leaves them.

    What that takes is loaded with the first span: a program that is recorded starts as fast.
    """

    def __init__(self, redact: bool | Redactor) -> None:
        self._redact = redact

    @cached_property
    def _opened(self) -> tuple[Redactor | None, Problem | None]:
        if not isinstance(self._redact, bool):
            return self._redact, None
        if not self._redact:
            return None, None
        from evaltrace.redact import Redactor, read_key

        key, problem = read_key()
        return Redactor(key=key), problem

    def text(self, text: str) -> str:
        """Give a text without its secrets."""
        redactor, _ = self._opened
        return text if redactor is None else redactor.text(text)[0]

    def event(self, event: Event) -> Event:
        """Give an event of a trace that goes on; secrets in pieces are found at its end."""
        from evaltrace.redact.traces import redact_value

        redactor, _ = self._opened
        if redactor is None:
            return event
        found: Event = redact_value(redactor, event, Counter())
        return found

    def trace(self, trace: Trace) -> Trace:
        """Give a trace without its secrets, which says so. Raises SecretsLeft."""
        redactor, problem = self._opened
        if problem is not None:
            trace.problems = [*trace.problems, problem]
        return without_secrets(trace, redactor)


def without_secrets(trace: Trace, redactor: Redactor | None) -> Trace:
    """Replace the secrets of a trace of spans, which says so; None leaves them.

    Its task's id too, which is that of no other trace here: spans are named as programs like.
    Raises SecretsLeft.
    """
    from evaltrace.redact import to_redacted
    from evaltrace.store import to_json

    if redactor is not None:
        trace.task_id = redactor.text(trace.task_id)[0]
    return to_redacted(redactor, trace, to_json)[0]
