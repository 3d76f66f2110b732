"""Aggregate two job folders, compare them, and leave the report in artifacts/.

    python3 runners/compare_runs.py jobs/baseline jobs/with-mcp

It writes the traces of both arms and comparison.json, .md and .html, and prints the verdict.
Copy it and change it; `evaltrace compare --help` lists what can be chosen.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

try:
    import click

    import evaltrace
except ImportError:
    own_python = Path(__file__).resolve().parents[1] / ".venv" / "bin" / "python"
    if not own_python.exists() or Path(sys.prefix) == own_python.parents[1]:
        sys.exit("evaltrace is not installed for this Python; run `make demo` once, then try again")
    os.execv(own_python, [str(own_python), *sys.argv])


@click.command()
@click.argument("baseline", type=click.Path(exists=True, file_okay=False))
@click.argument("treatment", type=click.Path(exists=True, file_okay=False))
@click.option("--output", default="artifacts", show_default=True, help="The folder to write to.")
@click.option("--metric", default="reward", show_default=True, help="What is compared.")
def compare_runs(baseline: str, treatment: str, output: str, metric: str) -> None:
    """Aggregate the jobs in BASELINE and TREATMENT and compare them."""
    arms = []
    for label, folder in (("baseline", baseline), ("treatment", treatment)):
        traces = Path(output) / f"{label}-execution-traces-full.json"
        evaltrace.aggregate_jobs([folder], traces, options=evaltrace.Options(arm=label))
        arms.append((label, traces))

    comparison = evaltrace.compare_paths(arms, evaltrace.CompareOptions(metric=metric))
    for suffix, render in (
        ("json", evaltrace.render_json),
        ("md", evaltrace.render_markdown),
        ("html", evaltrace.render_webpage),
    ):
        (Path(output) / f"comparison.{suffix}").write_text(render(comparison), encoding="utf-8")
    click.echo(comparison.verdict.sentence)


if __name__ == "__main__":
    try:
        compare_runs()
    except evaltrace.EvaltraceError as error:
        sys.exit(f"Error: {error}")
