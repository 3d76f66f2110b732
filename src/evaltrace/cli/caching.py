"""Options that say whether what was read before is used again, and where it is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaltrace.cli.bundles import bundled
from evaltrace.errors import UnreadablePath
from evaltrace.untrusted import printable

if TYPE_CHECKING:
    from evaltrace.cache import Cache

VARIABLE = "EVALTRACE_CACHE"
"""The environment variable that names the folder of the cache."""


@dataclass(frozen=True, slots=True)
class Caching:
    """Whether there is a cache, where, and how far it is believed."""

    folder: str | None
    used: bool
    verifying: bool
    trusting: bool

    def opened(self, quiet: bool) -> Cache | None:
        """Open the cache; None where none is to be used, or the system has no place for it."""
        from evaltrace.cache import Cache

        if not self.used:
            return None
        try:
            folder = cache_folder(self.folder)
        except UnreadablePath as error:
            if self.verifying:
                raise
            if not quiet:
                click.echo(printable(f"cache_unusable: {error}"), err=True)
            return None
        return Cache(folder, trusting=self.trusting, verifying=self.verifying)

    def tell(self, cache: Cache | None, quiet: bool) -> None:
        """Say on standard error what was wrong with the cache; exit with 1 if it was verified."""
        notes = cache.notes if cache is not None else []
        for note in notes if not quiet else ():
            where = f" {note.path}:" if note.path else ""
            hint = f"\n  {note.hint}" if note.hint else ""
            click.echo(printable(f"{note.code}:{where} {note.message}{hint}"), err=True)
        if self.verifying and any(note.code == "cache_differs" for note in notes):
            click.get_current_context().exit(1)


def cache_folder(named: str | None) -> Path:
    """Give the folder of the cache: the one that is named, or the usual one of the system.

    Raises UnreadablePath where this user has no home.
    """
    from platformdirs import user_cache_path

    if named:
        return Path(named)
    try:
        folder = user_cache_path("evaltrace", appauthor=False)
    except RuntimeError:
        folder = Path()
    if not folder.is_absolute():  # some versions give ~ as it is
        hint = f"Set HOME, name a folder with --cache or {VARIABLE}, or do without: --no-cache."
        raise UnreadablePath("there is no place for the cache, as no HOME is known", hint=hint)
    return folder


def _to_caching(given: dict[str, Any]) -> Caching:
    folder, verifying, trusting = given["cache"], given["verify_cache"], given["trust_finished"]
    if given["no_cache"] and (verifying or trusting):
        raise click.UsageError("--verify-cache and --trust-finished need the cache.")
    return Caching(folder or None, not given["no_cache"], verifying, trusting)


def folder_option(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the option that names the folder of the cache."""
    option = click.option(
        "--cache",
        type=click.Path(file_okay=False),
        envvar=VARIABLE,
        metavar="DIR",
        show_default=f"${VARIABLE}, or a folder of the user's caches",
        help="Where traces are kept, so that unchanged trials are not read again.",
    )
    wrapped: Callable[..., None] = option(command)
    return wrapped


_OPTIONS = (
    folder_option,
    click.option("--no-cache", is_flag=True, help="Read everything, and keep nothing."),
    click.option(
        "--verify-cache",
        is_flag=True,
        help="Read everything, compare it with the cache, and mend that; exit code 1 if they "
        "differ.",
    ),
    click.option(
        "--trust-finished",
        is_flag=True,
        help="Of a trial that was finished, look only whether its result is unchanged.",
    ),
)


cache_options = bundled(
    "caching", ("cache", "no_cache", "verify_cache", "trust_finished"), _OPTIONS, _to_caching
)
"""Give a command the options, which it gets as one `caching`."""
