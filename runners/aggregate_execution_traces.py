"""Aggregate job directories into one file of traces.

    python3 runners/aggregate_execution_traces.py --job-dir jobs/x --task sgt-001 \
        --output artifacts/mcp-traces.json

It is `evaltrace aggregate` under the name that scripts know; `--help` lists all options.
With a Python that lacks evaltrace it goes on with the checkout's own environment.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

try:
    from evaltrace.cli import main
except ImportError:
    own_python = Path(__file__).resolve().parents[1] / ".venv" / "bin" / "python"
    if not own_python.exists() or Path(sys.prefix) == own_python.parents[1]:
        sys.exit("evaltrace is not installed for this Python; run `make demo` once, then try again")
    os.execv(own_python, [str(own_python), *sys.argv])

if __name__ == "__main__":
    main(["aggregate", *sys.argv[1:]], prog_name=Path(sys.argv[0]).name)
