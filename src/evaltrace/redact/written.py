"""Traces as they are written: redacted, saying so, and the bytes looked at again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec

from evaltrace.redact.copies import secrets_left
from evaltrace.redact.redactor import Redactor
from evaltrace.redact.traces import (
    find_in_trace,
    is_clean,
    redact_doubtful,
    redact_trace,
    redact_value,
)
from evaltrace.trace import Redaction, Trace

T = TypeVar("T")

_decode = msgspec.json.Decoder(Trace).decode


def marked(trace: Trace, redactor: Redactor | None) -> Trace:
    """Say in a trace that secrets were replaced, none so far, or that they were left.

    One that says already that they were replaced stays as it is.
    """
    if trace.redaction is not None and trace.redaction.state == "on":
        return trace
    if redactor is None:
        return msgspec.structs.replace(trace, redaction=Redaction(state="off"))
    redaction = Redaction(state="on", rules=redactor.rules_digest, counts={})
    return msgspec.structs.replace(trace, redaction=redaction)


def redact_encoded(redactor: Redactor, trace: Trace, encoded: bytes) -> tuple[Trace, bytes]:
    """Redact a marked trace, given its JSON, and give both; without secrets, as they are.

    What was encoded again is decoded and looked at once more. Raises SecretsLeft where a secret
    outlived that, and msgspec.ValidationError for JSON that is no trace.
    """
    if is_clean(redactor, trace, encoded):
        return trace, encoded
    after, counts = redact_doubtful(redactor, _decode(encoded))
    if not counts:
        return trace, encoded
    told = _counted(after, redactor, counts)
    encoded = msgspec.json.encode(told)
    if any(find_in_trace(redactor, _decode(encoded), encoded)):
        # What was replaced in two events can bring the ends of another secret together.
        after, more = redact_doubtful(redactor, after)
        told = _counted(after, redactor, counts + more)
        encoded = msgspec.json.encode(told)
        check_trace(redactor, _decode(encoded), encoded)
    return told, encoded


def to_redacted(
    redactor: Redactor | None, trace: Trace, encode: Callable[[Trace], bytes] = msgspec.json.encode
) -> tuple[Trace, bytes]:
    """Mark, encode and redact a trace that is to be written; None leaves secrets, and says so.

    Raises what redact_encoded raises.
    """
    trace = marked(trace, redactor)
    encoded = encode(trace)
    return (trace, encoded) if redactor is None else redact_encoded(redactor, trace, encoded)


def redact_in_pieces(
    redactor: Redactor, trace: Trace, pieces: Callable[[], Iterable[bytes]]
) -> Trace:
    """Redact a marked trace that is encoded bit by bit, as one that is large.

    `pieces` gives its JSON. Raises SecretsLeft.
    """
    doubtful = next((piece for piece in pieces() if not redactor.is_clean(piece)), b"")
    after, counts = redact_trace(redactor, trace, doubtful)
    if not counts:
        return trace
    after = _counted(after, redactor, counts)
    check_trace(redactor, after)
    return after


def redact_records(redactor: Redactor, records: list[T]) -> list[T]:
    """Redact problems, or what a file says of its jobs. Raises SecretsLeft."""
    if not records or redactor.is_clean(msgspec.json.encode(records)):
        return records
    after: list[T] = redact_value(redactor, records, Counter())
    check_records(redactor, after)
    return after


def check_records(redactor: Redactor, records: list[Any]) -> None:
    """Look for secrets in problems or jobs that should have none. Raises SecretsLeft."""
    left: Counter[str] = Counter()
    redact_value(redactor, records, left)
    for rule in sorted(left):
        raise secrets_left("what a file of traces says of its jobs and problems", rule)


def check_trace(redactor: Redactor, trace: Trace, encoded: bytes | None = None) -> None:
    """Look for secrets in a trace that should have none. Raises SecretsLeft."""
    for finding in find_in_trace(redactor, trace, encoded):
        trace_id, _ = redactor.text(finding.trace_id)
        raise secrets_left(f"{trace_id}: {finding.field}", finding.rule)


def _counted(trace: Trace, redactor: Redactor, more: Counter[str]) -> Trace:
    before = (trace.redaction.counts if trace.redaction else None) or {}
    counts = dict(sorted((more + Counter(before)).items()))
    redaction = Redaction(state="on", rules=redactor.rules_digest, counts=counts)
    return msgspec.structs.replace(trace, redaction=redaction)
