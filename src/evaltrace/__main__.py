"""Run evaltrace as `python -m evaltrace`."""

import sys

_INTERRUPTED = 130


def run() -> None:
    """Run the command line; an interrupt while it is loaded is no error of ours."""
    try:
        from evaltrace.cli import main

        main(prog_name="evaltrace")
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    run()
