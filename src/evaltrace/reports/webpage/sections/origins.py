"""What was read and how: method, inputs, problems."""

from __future__ import annotations

from evaltrace.comparison import Comparison
from evaltrace.reports.webpage.tables import LONG, Table, columns, number, shown, table, text
from evaltrace.reports.wording import NOT_KNOWN, count, percent


def method_facts(comparison: Comparison) -> list[tuple[str, str]]:
    """Give what is needed to get the same numbers again."""
    method = comparison.method
    versions = [f"{shown(name, 40).text} {shown(version, 40).text}"
                for name, version in sorted(method.versions.items())[:20]]  # fmt: skip
    clusters = "" if method.clusters is None else f" ({count(method.clusters)} clusters)"
    return [
        ("--seed", str(method.seed)),
        ("--alpha", f"{method.alpha:g} ({percent(1 - method.alpha)} intervals)"),
        ("random subsets", count(method.subsets)),
        ("--on-duplicate", shown(method.on_duplicate).text),
        ("--on-missing", shown(method.on_missing).text),
        ("--cluster-by", shown(method.cluster_by, absent="none").text + clusters),
        ("paired by", shown(comparison.pairs.paired_by, LONG).text),
        ("written by", f"{shown(comparison.tool.name).text} {shown(comparison.tool.version).text}"),
        ("versions", ", ".join(versions) or NOT_KNOWN),
    ]


def inputs_table(comparison: Comparison) -> Table | None:
    """List what was read for each arm with its digest; None without any."""
    rows = [
        [
            text(each.arm),
            text(each.name, 120),
            text(each.form),
            number(each.traces, count(each.traces)),
            text(", ".join(shown(job).text for job in each.jobs[:5]) or None, 200, absent="-"),
            text(each.harness),
            text(each.digest, 90, "code"),
        ]
        for each in comparison.inputs
    ]
    heading = columns(
        "arm:name", "input:text", "form:text", "traces", "jobs:text", "harness:text", "digest:long"
    )
    return table("What was read", heading, rows) if rows else None


def problems_table(comparison: Comparison) -> Table | None:
    """List the input that could not be used; None without any."""
    rows = [
        [
            text(problem.code, mark="code"),
            text(problem.path, 160),
            text(problem.message, LONG),
            text(problem.hint, LONG, absent="-"),
        ]
        for problem in comparison.problems
    ]
    heading = columns("code:name", "where:text", "what:long", "what to try:long")
    caption = "Input that could not be used, or only in part"
    return table(caption, heading, rows, 200) if rows else None
