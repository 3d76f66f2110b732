"""`evaltrace` for tests without its start: each command is a fork of one warm process.

A new interpreter takes longer to load the program and what it needs than to do what most tests
ask for. What is asked stays the same: a program that is found on PATH, with arguments,
environment, folder and streams of its own, that ends with an exit code. Not for tests that
send it signals, nor for those of what it loads: a signal ends the client alone.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import marshal
import os
import pkgutil
import select
import shlex
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

CLIENT = Path(__file__).with_name("warm_client.py")
NEEDED = (
    "botocore.session",
    "duckdb",
    "jinja2",
    "jsonschema_rs",
    "numpy",
    "obstore.store",
    "pandas",
    "pyarrow.parquet",
    "unidiff",
)
"""What commands load when they need it. The threads that this starts know what a fork is."""


@contextmanager
def warm_command() -> Iterator[Path]:
    """Give a program that does what `evaltrace` does, as a fork of a process that has loaded it."""
    with tempfile.TemporaryDirectory(prefix="evaltrace-warm-") as name:
        place, program = f"{name}/socket", Path(name, "bin", "evaltrace")
        client = shlex.join([sys.executable, "-IS", str(CLIENT), place])
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {client} "$0" "$@"\n')
        program.chmod(0o755)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(place)
            listening.listen(64)
            with subprocess.Popen(
                # Python 3.12 warns of forks beside threads.
                [sys.executable, "-W", "ignore", __file__, str(listening.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                pass_fds=[listening.fileno()],
            ) as process:
                yield program
                process.communicate()  # its input ends, and it with that


def load() -> None:
    """Load all of the program, and what it needs, as far as it is installed."""
    import evaltrace

    modules = pkgutil.walk_packages(evaltrace.__path__, "evaltrace.")
    for name in (*NEEDED, *(module.name for module in modules)):
        if not name.endswith("__main__"):
            with suppress(ImportError):
                importlib.import_module(name)
    gc.freeze()  # else each command copies all of it, to look at it


def serve(listening: socket.socket) -> None:
    """Start a process for each command until the input ends."""
    while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
        connection, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            attend(connection)
        connection.close()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def attend(connection: socket.socket) -> NoReturn:
    """Run the command that is asked for in a process, and tell its exit code."""
    with connection:
        _, streams, _, _ = socket.recv_fds(connection, 1, 3)
        with connection.makefile("rb") as file:
            asked = marshal.load(file)
        command = os.fork()
        if command:
            _, status = os.waitpid(command, 0)
            connection.sendall(b"%d" % os.waitstatus_to_exitcode(status))
            os._exit(0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    run(*asked)


def run(arguments: list[str], folder: str, umask: int, environment: dict[str, str]) -> NoReturn:
    """Run the command as if it had been started so.

    What was loaded is not taken apart at the end: that would take longer than most commands.
    """
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv[:] = arguments
    os.chdir(folder)
    os.umask(umask)
    os.environ.clear()
    os.environ.update(environment)
    code: object = 1
    try:
        code = sys.modules["evaltrace.cli"].main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    load()
    with socket.socket(fileno=int(sys.argv[1])) as given:
        serve(given)
    os._exit(0)
