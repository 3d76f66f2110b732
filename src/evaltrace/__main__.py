"""Run evaltrace as `python -m evaltrace`."""

from evaltrace.cli import main

if __name__ == "__main__":
    main(prog_name="evaltrace")
