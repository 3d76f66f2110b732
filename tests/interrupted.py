"""Interrupts a command line at each line of what runs it.

    python tests/interrupted.py ARGUMENT...

A line of JSON for each place: where, exit code, what was said. A process of its own, as it forks
for each; arguments of the command line are those of this one.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import click.core

import evaltrace.__main__
import evaltrace.cli

_SOURCES = {click.core.__file__, evaltrace.cli.__file__, evaltrace.__main__.__file__}
_NAMES = {"run", "main", "_exit_code", "_result", "make_context", "invoke", "__exit__", "exit"}


def _tracer(number: int, tell: Callable[[str], object]) -> Callable[..., Any]:
    """Interrupt at the N-th line."""
    met = 0

    def line(frame: FrameType, event: str, _: object) -> Callable[..., Any]:
        nonlocal met
        if event == "line":
            met += 1
            if met == number:
                sys.settrace(None)
                tell(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
                os.kill(os.getpid(), signal.SIGINT)
        return line

    def call(frame: FrameType, *_: object) -> Callable[..., Any] | None:
        code = frame.f_code
        return line if code.co_filename in _SOURCES and code.co_name in _NAMES else None

    return call


def _run(number: int, writing: int) -> None:
    os.dup2(writing, 1)
    os.dup2(writing, 2)
    code: object = 0
    try:
        sys.settrace(_tracer(number, lambda place: os.write(writing, f"{place}\n".encode())))
        evaltrace.__main__.run()
    except SystemExit as end:
        code = end.code
    except BaseException as error:
        os.write(writing, f"Traceback: {error!r}".encode())
    sys.settrace(None)
    sys.stdout.flush()
    os._exit(code if isinstance(code, int) else 0)


def main() -> None:
    """Interrupt at one line after the other, until the command ends before."""
    for number in range(2, 10_000):  # the first one is before everything
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            _run(number, writing)
        os.close(writing)
        with open(reading) as pipe:
            said = pipe.read()
        _, status = os.waitpid(child, 0)
        place, _, rest = said.partition("\n")
        if ".py:" not in place:
            break
        row = {"place": place, "code": os.waitstatus_to_exitcode(status), "said": rest}
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
