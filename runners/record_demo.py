"""Record a program while it works: it fixes a failing test in a temporary git repository.

The steps are scripted, the rest is real: git, the tests, the times. It prints the summary of the
trace and its file. Copy it, and put your own agents in the place of the script.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import click

    import evaltrace
    from evaltrace.cli import main
except ImportError:
    own_python = Path(__file__).resolve().parents[1] / ".venv" / "bin" / "python"
    if not own_python.exists() or Path(sys.prefix) == own_python.parents[1]:
        sys.exit("evaltrace is not installed for this Python; run `make demo` once, then try again")
    os.execv(own_python, [str(own_python), *sys.argv])

WRONG = "def total(prices):\n    return sum(prices[1:])\n"
TEST = "import unittest, shop\nclass T(unittest.TestCase):\n    def test_total(self):\n"
TEST += "        self.assertEqual(shop.total([1, 2, 3]), 6)\n"
COMMIT = ("-c", "user.name=demo", "-c", "user.email=demo@example.org", "commit", "-qm", "Fix")


@evaltrace.traced
def run(place: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a program; that it was called, and how long it took, becomes an event."""
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)


@click.command()
@click.option("--output", default="artifacts/recordings", show_default=True, help="The folder.")
def record_demo(output: str) -> None:
    """Fix a failing test in recorded steps, and show the trace."""
    live = evaltrace.recording("demo", "fix_tests", folder=output, trigger="manual")
    with live, tempfile.TemporaryDirectory() as place:
        for task, code in (("Write", WRONG), ("Fix", WRONG.replace("[1:]", ""))):
            with live.step("developer", f"{task} the code"):
                Path(place, "shop.py").write_text(code)
                Path(place, "test_shop.py").write_text(TEST)
                live.event("file_modified", {"file": "shop.py"})
            with live.step("tester", "Run the tests") as step:
                failed = run(place, sys.executable, "-B", "-m", "unittest", "-q").returncode
                live.event("tests_run", total_tests=1, passing=1 - failed, failing=failed)
                step.summary(("passed", "failed")[failed])
        with live.step("developer", "Commit the code"):
            for command in (("init", "-q"), ("add", "."), COMMIT):
                run(place, "git", *command)
            live.event("git_commit", message="Fix")
    main(["show", str(live.path), "--summary"], standalone_mode=False)
    click.echo(f"\n{live.path}")


if __name__ == "__main__":
    record_demo()
