"""Options that say whether secrets are replaced in what is written, and by which rules."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaltrace.cli.bundles import bundled

if TYPE_CHECKING:
    from evaltrace.redact import Redactor


OFF = "redaction: off. Secrets are left in what is written."
"""What is said on standard error where that is so."""


@dataclass(frozen=True, slots=True)
class Redacting:
    """Whether secrets are replaced, and what is one besides what the rules know."""

    rules: tuple[Path, ...] = ()
    configs: tuple[Path, ...] = ()
    personal: bool = False
    on: bool = True

    def chosen(self) -> bool | Redactor:
        """Give what `Options.redact` takes; say on standard error where secrets are left in."""
        if not self.on:
            click.echo(OFF, err=True)
            return False
        if not (self.rules or self.configs or self.personal):
            return True
        return self.redactor()

    def opened(self) -> Redactor | None:
        """Give what replaces secrets; None, and say so, where they are left in."""
        return self.redactor() if self.chosen() else None

    def redactor(self) -> Redactor:
        """Make what replaces secrets; the user's key is made where there is none."""
        from evaltrace.errors import UnreadablePath
        from evaltrace.redact import (
            RULES,
            Redactor,
            fair_share,
            known_values,
            read_key,
            read_rules,
        )

        key, problem = read_key()
        own = [rule for path in self.rules for rule in read_rules(path)]
        try:
            found = [known_values([(path.name, path.read_bytes())]) for path in self.configs]
        except OSError as error:
            reason = error.strerror or str(error)
            raise UnreadablePath(f"Cannot read ({reason})", where=str(error.filename)) from None
        known, problems = fair_share(found, "--config")
        for told in [problem, *problems] if problem else problems:
            click.echo(f"{told.message}. {told.hint}", err=True)
        return Redactor([*RULES, *own], key=key, known=known, personal=self.personal)


_OPTIONS = (
    click.option(
        "--rule", "rules", metavar="FILE", multiple=True, type=click.Path(path_type=Path),
        help="More rules, as TOML or JSON. May be repeated.",
    ),
    click.option(
        "--config", "configs", metavar="FILE", multiple=True, type=click.Path(path_type=Path),
        help="A configuration file whose secrets are looked for everywhere. May be repeated.",
    ),
    click.option(
        "--personal", is_flag=True,
        help="Also names of users in paths of home folders, and e-mail addresses.",
    ),
)  # fmt: skip
_KEYS = ("rules", "configs", "personal")


def _to_redacting(given: dict[str, Any]) -> Redacting:
    no_redact = given.pop("no_redact")
    if no_redact and any(given.values()):
        raise click.UsageError(
            "--no-redact leaves secrets in: then --rule, --config or --personal have nothing to do."
        )
    return Redacting(**given, on=not no_redact)


secrets_options = bundled("redacting", _KEYS, _OPTIONS, lambda given: Redacting(**given))
"""Give a command the options that say what is secret, which it gets as one `redacting`."""

redacting_options = bundled(
    "redacting",
    ("no_redact", *_KEYS),
    (
        click.option(
            "--no-redact",
            is_flag=True,
            help="Leave secrets in; each trace says so.  [default: they are replaced]",
        ),
        *_OPTIONS,
    ),
    _to_redacting,
)
"""The same, and whether secrets are replaced at all."""
