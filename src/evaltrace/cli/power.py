"""`evaltrace power`: what a design can show, and how many tasks would do."""

from __future__ import annotations

from typing import Any

import click

from evaltrace.cli.comparing import (
    Arm,
    arms_argument,
    printing_options,
    reading_options,
    statistics_options,
    tell_problems,
    to_options,
    width_of_terminal,
)


@click.command()
@arms_argument("BASELINE [TREATMENT]")
@reading_options
@statistics_options
@printing_options
def power(arms: list[Arm], form: str, width: int | None, quiet: bool, **chosen: Any) -> None:
    """Say what BASELINE alone, or with TREATMENT, can show: before and after running it.

    Each is a job directory, a folder of jobs, or a file of traces (- is standard input).
    With BASELINE alone the noise of a treatment like it is assumed, and said. It gives
    the smallest difference that is seen in 80 % of runs, and the tasks and attempts
    needed for 5 and 10 points. With both it is the part of that name of `evaltrace compare`.

    \b
    Example:
      evaltrace power jobs/baseline
      evaltrace power jobs/baseline jobs/with-mcp --format json | jq .needs
    """
    from evaltrace.compare import plan_paths
    from evaltrace.reports.machine import render_json
    from evaltrace.reports.terminal import render_power

    if len(arms) > 2:
        raise click.UsageError("Name BASELINE, or BASELINE and TREATMENT.")
    found, metric, problems = plan_paths(arms, to_options(**chosen))
    if form == "json":
        click.echo(render_json(found), nl=False)
    else:
        click.echo(render_power(found, width or width_of_terminal(), metric=metric), nl=False)
    if not quiet:
        tell_problems(problems)
