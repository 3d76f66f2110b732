"""Folders that are made for a while, and go again."""

from __future__ import annotations

import shutil
from pathlib import Path


def remove_folder(path: str | Path) -> None:
    """Remove a folder with all in it; what cannot be removed stays, and is no failure.

    An interrupt that comes meanwhile is raised when the folder is gone.
    """
    try:
        shutil.rmtree(path, ignore_errors=True)
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
