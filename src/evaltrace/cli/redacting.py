"""Options that say whether secrets are replaced in what is written, and by which rules."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaltrace.cli.bundles import bundled
from evaltrace.cli.redact import REDACTION_OPTIONS, make_redactor

if TYPE_CHECKING:
    from evaltrace.redact import Redactor


OFF = "redaction: off. Secrets are left in what is written."
"""What is said on standard error where that is so."""


@dataclass(frozen=True, slots=True)
class Redacting:
    """Whether secrets are replaced, and what is one besides what the rules know."""

    on: bool
    rules: tuple[Path, ...] = ()
    configs: tuple[Path, ...] = ()
    personal: bool = False

    def chosen(self) -> bool | Redactor:
        """Give what `Options.redact` takes; say on standard error where secrets are left in."""
        if not self.on:
            click.echo(OFF, err=True)
            return False
        if not (self.rules or self.configs or self.personal):
            return True
        return make_redactor(self.rules, self.configs, self.personal)

    def opened(self) -> Redactor | None:
        """Give what replaces secrets; None, and say so, where they are left in."""
        if not self.chosen():
            return None
        return make_redactor(self.rules, self.configs, self.personal)


def _to_redacting(given: dict[str, Any]) -> Redacting:
    rules, configs, personal = given["rules"], given["configs"], given["personal"]
    if given["no_redact"] and (rules or configs or personal):
        raise click.UsageError(
            "--no-redact leaves secrets in: then --rule, --config or --personal have nothing to do."
        )
    return Redacting(not given["no_redact"], rules, configs, personal)


redacting_options = bundled(
    "redacting",
    ("no_redact", "rules", "configs", "personal"),
    (
        click.option(
            "--no-redact",
            is_flag=True,
            help="Leave secrets in; each trace says so.  [default: they are replaced]",
        ),
        *REDACTION_OPTIONS,
    ),
    _to_redacting,
)
"""Give a command the options, which it gets as one `redacting`."""
