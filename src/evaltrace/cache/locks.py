"""Who is in a folder: many may read and add at once, one alone may remove."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on this system: then nothing is ever removed while others may read
    fcntl = None  # type: ignore[assignment]

LOCK = "lock"
"""The file that is locked; it stays empty."""


class Lock:
    """A lock on a folder, shared until it is asked for alone; gone when the process ends."""

    def __init__(self, folder: Path) -> None:
        self._descriptor: int | None = None
        if fcntl is None:
            return
        with suppress(OSError):
            self._descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def alone(self) -> bool:
        """Try to be the only one; where that fails, the lock is shared again."""
        if fcntl is None or self._descriptor is None:
            return False
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.share()
            return False
        return True

    def share(self) -> None:
        """Let others in again."""
        if fcntl is not None and self._descriptor is not None:
            with suppress(OSError):
                fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def release(self) -> None:
        """Be no longer in the folder."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
