"""The command line: one module a command, loaded when it is called."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

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
_OF_OUTPUT = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
"""Errors that name no file: files of ours have errors of ours, so it was what is printed."""


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

    def main(self, *args: Any, standalone_mode: bool = True, **kwargs: Any) -> Any:
        """Run a command line; --help and --version can fail too, and be interrupted anywhere."""
        if not standalone_mode:
            return self._result(*args, **kwargs)
        try:
            # Not as Click ends: where it is interrupted itself, with 1, the code of failures.
            code = self._exit_code(*args, **kwargs)
        except (KeyboardInterrupt, click.Abort):
            _tell_interrupted()
            code = _INTERRUPTED
        sys.exit(code)

    def _exit_code(self, *args: Any, **kwargs: Any) -> int:
        try:
            result = self._result(*args, **kwargs)
        except click.ClickException as failure:
            with _said():
                failure.show()
            return failure.exit_code
        return result if isinstance(result, int) else 0

    def _result(self, *args: Any, **kwargs: Any) -> Any:
        """Give the exit code where a command line asked for one, else what its command gives."""
        _open_closed_streams()
        _end_on_sigterm()
        try:
            return super().main(*args, **{**kwargs, "standalone_mode": False})
        except BrokenPipeError:  # of what a shell completes by
            _discard_output()
            sys.exit(_PIPE_CLOSED)
        except OSError as error:
            _discard_output()
            raise click.ClickException(_sentence(error)) from error

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the arguments; what ends a command ends that in the same way."""
        try:
            return super().make_context(*args, **kwargs)
        except KeyboardInterrupt:
            _tell_interrupted()
            sys.exit(_INTERRUPTED)
        except BrokenPipeError:  # of --help and --version: Click ends with 1, as failures do
            _discard_output()
            sys.exit(_PIPE_CLOSED)

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command; the one place where an error becomes a message and an exit code."""
        try:
            _survive_any_encoding()
            _start_no_threads_of_blas()
            if os.environ.get("NO_COLOR"):
                ctx.color = False
            result = super().invoke(ctx)
            sys.stdout.flush()
        except EvaltraceError as error:
            raise click.ClickException(printable(str(error))) from error
        except KeyboardInterrupt:
            _tell_interrupted()
            ctx.exit(_INTERRUPTED)
        except BrokenPipeError:
            _discard_output()
            ctx.exit(_PIPE_CLOSED)
        except MemoryError:
            what = "Not enough memory for what is in the input\n  Name fewer or smaller files."
            raise click.ClickException(what) from None
        except OSError as error:
            _discard_output()
            raise click.ClickException(_sentence(error)) from error
        return result


def _open_closed_streams() -> None:
    """Let no file that is opened become standard output: that was closed by who called us.

    What is written to it fails like on a full disk; messages are for nobody.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - for as long as we run
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def _sentence(error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.filename is not None:
        return printable(f"{reason}: {os.fsdecode(error.filename)}")
    try:
        Path.cwd()
    except OSError:
        return "The working directory is gone\n  Go to a folder that is there."
    if error.errno in _OF_OUTPUT:
        return f"Cannot write to standard output ({reason})\n  Is its disk full, or was it closed?"
    if "temporary directory" in reason:  # of tempfile, after it has tried them all
        return printable(f"{reason}\n  Name a folder that may be written to by TMPDIR.")
    return printable(reason)


def _survive_any_encoding() -> None:
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def _end_on_sigterm() -> None:
    # As an exception, so that what is half written is cleared away like at an interrupt.
    with suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))


def _start_no_threads_of_blas() -> None:
    # No matrix is multiplied. Where no thread may be started, OpenBLAS sends an interrupt.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _tell_interrupted() -> None:
    with _said():
        click.echo("Interrupted.", err=True)


@contextmanager
def _said() -> Iterator[None]:
    """Write to standard error, though nobody may read it any more: the exit code stays."""
    try:
        yield
    except OSError:
        _discard(sys.stderr)


def _discard_output() -> None:
    _discard(sys.stdout)


def _discard(stream: TextIO) -> None:
    # What is still buffered would fail once more when Python exits.
    with suppress(OSError), open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), stream.fileno())


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
