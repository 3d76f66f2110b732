"""The command line: one module a command, loaded when it is called."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

import click

from evaltrace.errors import EvaltraceError
from evaltrace.untrusted import printable
from evaltrace.version import __version__

_COMMANDS = {
    "aggregate": (
        "evaltrace.cli.aggregate:aggregate",
        "Assemble the trials of job directories into traces.",
    ),
    "show": ("evaltrace.cli.show:show", "Show the traces of a file, or one of them in full."),
    "search": ("evaltrace.cli.search:search", "Find words in traces, in files or in a store."),
    "query": ("evaltrace.cli.query:query", "Answer a question in SQL about traces."),
    "compare": ("evaltrace.cli.compare:compare", "Compare a baseline with a treatment."),
    "audit": ("evaltrace.cli.audit:audit", "Say in what two arms differ besides the treatment."),
    "power": ("evaltrace.cli.power:power", "Say what a design can show, and what would do."),
    "validate": (
        "evaltrace.cli.validate:validate",
        "Check files of traces and comparisons against the schemas.",
    ),
    "store": ("evaltrace.cli.store:store", "Keep traces in a store, and find them again."),
    "metrics": ("evaltrace.cli.metrics:metrics", "Serve the totals of a store to Prometheus."),
    "record": (
        "evaltrace.cli.record:record",
        "List live recordings, and finish those whose program is gone.",
    ),
    "failures": (
        "evaltrace.cli.failures:failures",
        "Print the table that sorts failures into causes.",
    ),
    "export": ("evaltrace.cli.export:export", "Give traces to other programs: OTLP."),
    "import": (
        "evaltrace.cli.imports:imports",
        "Turn what other programs recorded into traces: OTLP.",
    ),
    "redact": (
        "evaltrace.cli.redact:redact",
        "Write traces or a job directory again, without their secrets.",
    ),
    "scan": ("evaltrace.cli.scan:scan", "Find secrets, and say where they are."),
    "cache": ("evaltrace.cli.cache:cache", "Show or clear what is kept of trials."),
    "schema": ("evaltrace.cli.schema:schema", "Print the schemas of the files that are written."),
}
"""Where each command lies, and its line of help: `--help` loads none of them."""

_INTERRUPTED = 130
_PIPE_CLOSED = 141


class LazyGroup(click.Group):
    """A group that loads its commands when called, and reports errors without a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names of the commands, in the order of their use."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command; None when there is no such name."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command; the one place where an error becomes a message and an exit code."""
        _survive_any_encoding()
        _end_on_sigterm()
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except EvaltraceError as error:
            raise click.ClickException(printable(str(error))) from error
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(_INTERRUPTED)
        except BrokenPipeError:
            _discard_output()
            ctx.exit(_PIPE_CLOSED)
        except OSError as error:
            _discard_output()
            raise click.ClickException(printable(str(error))) from error
        return result


def _survive_any_encoding() -> None:
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def _end_on_sigterm() -> None:
    # As an exception, so that what is half written is cleared away like at an interrupt.
    with suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))


def _discard_output() -> None:
    # What is still buffered would fail once more when Python exits.
    with suppress(OSError), open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), sys.stdout.fileno())


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def main() -> None:
    """Turn agent benchmark job directories into validated traces, and compare them.

    \b
    Example:
      evaltrace aggregate jobs/2026-02-03__12-00-00 -o traces.json
      evaltrace show traces.json
      evaltrace compare jobs/baseline jobs/with-mcp -o report.html
    """
