"""Secrets in traces and files: found by rules, replaced by markers, counted.

Rules are data (`RULES`, and `read_rules` for one's own). A `Redactor` applies them to texts,
`redact_trace` to traces, `copy_redacted` to folders; `scan` only says where secrets are.
"""

from evaltrace.redact.copies import Copied, SecretsLeft, copy_redacted, secrets_left
from evaltrace.redact.custom import RuleRefused, read_rules
from evaltrace.redact.keys import KEY_NOT_KEPT, read_key
from evaltrace.redact.known import fair_share, is_configuration, known_values
from evaltrace.redact.markers import MARKER
from evaltrace.redact.redactor import RULES, Place, Redactor
from evaltrace.redact.rules import Rule
from evaltrace.redact.scanning import Finding, files_below, known_in, scan, scan_file
from evaltrace.redact.traces import TraceFinding, find_in_trace, is_clean, redact_trace
from evaltrace.redact.written import (
    check_records,
    check_trace,
    marked,
    redact_encoded,
    redact_in_pieces,
    redact_records,
    to_redacted,
)

__all__ = [
    "KEY_NOT_KEPT",
    "MARKER",
    "RULES",
    "Copied",
    "Finding",
    "Place",
    "Redactor",
    "Rule",
    "RuleRefused",
    "SecretsLeft",
    "TraceFinding",
    "check_records",
    "check_trace",
    "copy_redacted",
    "fair_share",
    "files_below",
    "find_in_trace",
    "is_clean",
    "is_configuration",
    "known_in",
    "known_values",
    "marked",
    "read_key",
    "read_rules",
    "redact_encoded",
    "redact_in_pieces",
    "redact_records",
    "redact_trace",
    "scan",
    "scan_file",
    "secrets_left",
    "to_redacted",
]
