"""`evaltrace audit`: in what two arms differ besides the treatment."""

from __future__ import annotations

from typing import Any

import click

from evaltrace.cli.comparing import (
    Arm,
    arms_argument,
    printing_options,
    reading_options,
    tell_problems,
    to_options,
    treatment_option,
    width_of_terminal,
)


@click.command()
@arms_argument("BASELINE TREATMENT")
@reading_options
@treatment_option
@printing_options
def audit(arms: list[Arm], form: str, width: int | None, quiet: bool, **chosen: Any) -> None:
    """Say in what BASELINE and TREATMENT differ besides what is meant to differ.

    Each is a job directory, a folder of jobs, or a file of traces (- is standard input);
    label=path names it. A single path that holds both arms is split. What was found is
    graded: a blocker forbids to conclude, a warning may explain the effect, a note is
    worth knowing. It is the part of that name of `evaltrace compare`.

    \b
    Example:
      evaltrace audit jobs/baseline jobs/with-mcp
      evaltrace audit a.json b.json --format json | jq '.[].message'
    """
    from evaltrace.compare import audit_paths
    from evaltrace.reports.machine import render_json
    from evaltrace.reports.terminal import render_audit

    if len(arms) > 2:
        raise click.UsageError("An audit has two arms: name BASELINE and TREATMENT.")
    sides, items, problems = audit_paths(arms, to_options(**chosen))
    if form == "json":
        click.echo(render_json(items), nl=False)
    else:
        click.echo(render_audit(items, sides, width or width_of_terminal(), colour=True), nl=False)
    if not quiet:
        tell_problems(problems)
