"""Tables on this disk that are complete, and are only read from then on."""

from __future__ import annotations

import sqlite3
from pathlib import Path


def read_only(path: Path) -> sqlite3.Connection:
    """Open a table that nobody changes any more: no query need lock it or look for changes."""
    return sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
