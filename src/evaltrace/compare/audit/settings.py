"""Differences of configuration: the model, the agent and its options, limits, environment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from evaltrace.compare.audit.fields import (
    Contrast,
    Counts,
    agent_of,
    contrasts,
    decoded,
    model_of,
    read_fields,
    read_labels,
    version_of,
)
from evaltrace.compare.audit.items import entry, label_of, milder
from evaltrace.compare.audit.meant import AGENT, MODEL, SERVERS, Meant
from evaltrace.compare.audit.values import (
    HIDDEN,
    NOT_SET,
    TEMPLATE,
    is_secret_name,
    shown,
    shown_pair,
)
from evaltrace.compare.sides import Side
from evaltrace.compare.treatment.servers import shown_server
from evaltrace.compare.wording import counted
from evaltrace.comparison import AuditItem, Grade
from evaltrace.untrusted import one_line

_SHORT = 40
_MOST_VALUES = 3
_EFFORT = re.compile(r"effort|reasoning|thinking", re.I)
_HOUSEKEEPING = re.compile(r"\.(?:force_build|delete|stream|suppress_override_warnings)$")


@dataclass(frozen=True, slots=True)
class _Rule:
    """How a difference in fields that begin with `prefix` is graded and put in words."""

    prefix: str
    code: str
    grade: Grade
    what: str
    advice: str = "run both arms with the same one"


_SAME = "give both arms the same value"
_RULES = (
    _Rule(MODEL, "model", "blocker", "the model asked for"),
    _Rule(f"{AGENT}name", "agent", "blocker", "the agent"),
    _Rule(f"{AGENT}import_path", "import_path", "blocker", "the agent's class"),
    _Rule(f"{AGENT}version", "agent_version", "warning", "the agent's version"),
    _Rule(f"{AGENT}kwargs.", "kwargs", "warning", "the agent's option {key}", _SAME),
    _Rule(f"{AGENT}env.", "env", "warning", "the agent's environment variable {key}", _SAME),
    _Rule(f"{AGENT}skills", "skills", "warning", "the list of the agent's skills", _SAME),
    _Rule(SERVERS, "mcp_servers", "warning", "the MCP server {key}, which is not the treatment,",
          "configure it alike in both arms"),
    _Rule("agent_config.timeouts.", "time_limits", "warning", "the time limit {key}", _SAME),
    _Rule("agent_config.environment.", "environment", "warning", "the environment's {key}", _SAME),
    _Rule("agent_config.verifier.", "verifier", "warning", "the verifier's {key}", _SAME),
    _Rule("", "agent_config", "warning", "the configuration's {key}", _SAME),
)  # fmt: skip


def audit_settings(baseline: Side, treatment: Side, meant: Meant) -> Iterator[AuditItem]:
    """Compare what configured the trials of both arms, field by field."""
    found = [
        *_identities(baseline, treatment),
        *contrasts(read_fields(baseline), read_fields(treatment)),
    ]
    versions = {contrast.field: contrast for contrast in found}
    for contrast in found:
        if contrast.field == f"{AGENT}kwargs.version" and f"{AGENT}version" in versions:
            continue  # the option is why the version differs
        part = meant.part_of(contrast)
        told = contrast.between and part != "all"
        if told:
            yield _between(contrast, baseline, treatment, meant, perhaps=part == "perhaps")
        if not (told and contrast.apart):
            yield from _within(contrast, baseline, treatment)


def _identities(baseline: Side, treatment: Side) -> Iterator[Contrast]:
    """Compare names that are simply unknown for a trial that did not get far."""
    for name, label in (
        (MODEL, model_of),
        (f"{AGENT}name", agent_of),
        (f"{AGENT}version", version_of),
    ):
        before, after = read_labels(baseline, label), read_labels(treatment, label)
        if before and after and len(before.keys() | after.keys()) > 1:
            yield Contrast(name, before, after)


def _between(
    contrast: Contrast, baseline: Side, treatment: Side, meant: Meant, *, perhaps: bool
) -> AuditItem:
    rule = next(rule for rule in _RULES if contrast.field.startswith(rule.prefix))
    grade = _grade(rule, contrast, meant)
    advice = f"{rule.advice}, or name it as the treatment"
    if perhaps:
        grade, advice = "note", "it may be part of the treatment"
    values = _shown_values(contrast)
    short = [one_line(value, _SHORT) for value in values]
    what = rule.what.format(key=one_line(_key(contrast, rule), _SHORT))
    message = (
        f"{what} differs: {short[0]} in {label_of(baseline.label)}, "
        f"{short[1]} in {label_of(treatment.label)}; {advice}."
    )
    message = message[:1].upper() + message[1:]
    return entry(grade, rule.code, _shown_field(contrast), message, values)


def _key(contrast: Contrast, rule: _Rule) -> str:
    return _shown_field(contrast).removeprefix(rule.prefix)


def _shown_field(contrast: Contrast) -> str:
    """Show a field; that of an MCP server ends in its name."""
    if not contrast.field.startswith(SERVERS):
        return contrast.field
    return SERVERS + shown_server(contrast.field.removeprefix(SERVERS))


def _grade(rule: _Rule, contrast: Contrast, meant: Meant) -> Grade:
    grade = rule.grade
    if rule.code == "kwargs" and _EFFORT.search(contrast.key):
        grade = "warning" if meant.kind in ("model", "agent") else "blocker"
    elif _is_minor(rule, contrast):
        grade = "note"
    return milder(grade, "warning") if meant.kind == "config" else grade


def _is_minor(rule: _Rule, contrast: Contrast) -> bool:
    if rule.code == "env":
        return is_secret_name(contrast.key)
    if rule.code == "environment":
        return bool(_HOUSEKEEPING.search(contrast.field))
    return rule.code == "model" and _is_spelling(contrast)


def _is_spelling(contrast: Contrast) -> bool:
    """Tell whether models differ only in that one names its provider and the other does not."""
    first, second = (str(value) for value in contrast.values)
    plain = first.rpartition("/")[2] == second.rpartition("/")[2]
    return plain and ("/" in first) != ("/" in second)


def _shown_values(contrast: Contrast) -> tuple[str, str]:
    if _is_variable(contrast):
        first, second = (_shown_variable(value) for value in contrast.values)
        return first, second if first != second else f"{second} (another value)"
    if len(contrast.baseline) == len(contrast.treatment) == 1:
        return shown_pair(*contrast.values, key=contrast.key)
    return shown_counts(contrast.baseline, contrast), shown_counts(contrast.treatment, contrast)


def _is_variable(contrast: Contrast) -> bool:
    return ".env." in contrast.field


def _shown_variable(value: object) -> str:
    """Show that a variable is set, and its value only where that is the name of another."""
    if value is None:
        return NOT_SET
    template = isinstance(value, str) and TEMPLATE.fullmatch(value)
    return shown(value) if template else f"set ({HIDDEN})"


def shown_counts(counts: Counts, contrast: Contrast) -> str:
    """Show each value with its number of trials, the first of many."""
    variable = _is_variable(contrast)
    width = _SHORT // 2
    rows = [
        (one_line(_shown_variable(value) if variable else shown(value, contrast.key), width), n)
        for value, n in decoded(counts)
    ]
    text = ", ".join(f"{value} ({n})" for value, n in rows[:_MOST_VALUES])
    return f"{text}, ..." if len(rows) > _MOST_VALUES else text


def _within(contrast: Contrast, baseline: Side, treatment: Side) -> Iterator[AuditItem]:
    """Point out an arm whose own trials differ: it is not one configuration."""
    mixed = [
        (side, counts)
        for side, counts in ((baseline, contrast.baseline), (treatment, contrast.treatment))
        if len(counts) > 1
    ]
    if not mixed:
        return
    said = " and ".join(
        f"{label_of(side.label)} has {shown_counts(counts, contrast)}" for side, counts in mixed
    )
    values = tuple(
        shown_counts(counts, contrast) for counts in (contrast.baseline, contrast.treatment)
    )
    rows = counted(len(mixed), "arm")
    field = _shown_field(contrast)
    message = (
        f"Not one configuration: {one_line(field, 2 * _SHORT)} varies within {rows}: "
        f"{said}; split the trials by it, or run them again alike."
    )
    yield entry("warning", "not_one_configuration", field, message, (values[0], values[1]))
