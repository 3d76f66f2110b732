"""`evaltrace cache`: what is kept of job directories, and how to be rid of it."""

from __future__ import annotations

import click

from evaltrace.cli.caching import cache_folder, folder_option
from evaltrace.untrusted import printable


@click.group()
def cache() -> None:
    """Show or clear what `evaltrace aggregate` keeps of the trials that it read.

    \b
    Example:
      evaltrace cache show
      evaltrace cache clear
    """


@cache.command("show")
@folder_option
def show_cache(cache: str | None) -> None:
    """List the jobs of which traces are kept, those that were used last first.

    A job has a line for each set of options that it was aggregated with.

    \b
    Example:
      evaltrace cache show
    """
    from datetime import UTC, datetime

    from evaltrace.cache import kept_jobs

    folder = cache_folder(cache)
    rows = kept_jobs(folder)
    for row in rows:
        day = datetime.fromtimestamp(row.used, UTC).date().isoformat()
        size = f"{row.size / 1e6:,.1f} MB"
        click.echo(
            printable(f"{day}  {row.trials:>7} trials  {size:>12}  {row.job or '(damaged)'}")
        )
    whole = f"{sum(row.size for row in rows) / 1e6:,.1f} MB"
    click.echo(printable(f"{whole} in {folder}"), err=True)


@cache.command("clear")
@folder_option
def clear_cache(cache: str | None) -> None:
    """Remove everything that is kept; what another run is using stays.

    \b
    Example:
      evaltrace cache clear
    """
    from evaltrace.cache import forget, kept_jobs

    folder = cache_folder(cache)
    rows = kept_jobs(folder)
    freed = sum(row.size for row in rows if forget(row.folder))
    click.echo(printable(f"Removed {freed / 1e6:,.1f} MB from {folder}"), err=True)
