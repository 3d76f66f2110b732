"""A remote folder whose objects are committed: each whole, once, and never replaced."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from evaltrace.errors import OutputFailure, UnreadablePath
from evaltrace.remote.opening import open_store
from evaltrace.remote.places import Place, to_place
from evaltrace.remote.stores import Refused, Store, Vanished
from evaltrace.remote.threads import interruptible

_RIGHTS = "Check that these credentials may list and read the bucket."


class RemoteFolder:
    """A folder of objects; what it can do is what files.Folder says. It can be pickled.

    Whatever goes wrong is an OutputFailure, except for what is not there.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    @property
    def place(self) -> str:
        """Where it is, as the user would name it."""
        return self.url

    def names(self) -> set[str]:
        """Name what is committed."""
        store, place = self._opened()
        try:
            _, objects = interruptible(store.level, place.prefix)
        except (UnreadablePath, Refused) as error:
            raise _failure("cannot list", self.url, error) from None
        return {row.key.rpartition("/")[2] for row in objects}

    def commit(self, name: str, source: Path) -> bool:
        """Upload a finished file unless its name is taken: the store decides who was first."""
        store, place = self._opened()
        try:
            return store.put(place.below(name).key, source, create=True)
        finally:
            with suppress(OSError):
                source.unlink()

    def open(self, name: str) -> BinaryIO:
        """Open what was committed; raises FileNotFoundError."""
        store, place = self._opened()
        try:
            return interruptible(store.open, place.below(name).key)
        except (UnreadablePath, Refused) as error:
            raise _failure("cannot read", place.below(name).url, error) from None

    def read(self, name: str) -> bytes:
        """Read what was committed; raises FileNotFoundError."""
        store, place = self._opened()
        try:
            return bytes(interruptible(store.read, place.below(name).key, 0, 0, None))
        except Vanished:
            raise FileNotFoundError(2, "no such object", place.below(name).url) from None
        except (UnreadablePath, Refused) as error:
            raise _failure("cannot read", place.below(name).url, error) from None

    def remove(self, name: str) -> None:
        """Remove what was committed, if it is there."""
        store, place = self._opened()
        store.remove(place.below(name).key)

    def local(self, name: str) -> Path | None:
        """Say that it is no file of this machine."""
        return None

    def scratch(self) -> str:
        """Leave unfinished files to the system's folder for them."""
        return ""

    def _opened(self) -> tuple[Store, Place]:
        try:
            place = to_place(self.url)
            return open_store(place), place
        except UnreadablePath as error:
            raise _failure("cannot be opened", self.url, error) from None


def _failure(what: str, where: str, error: UnreadablePath | Refused) -> OutputFailure:
    reason, hint = (error.what, error.hint) if isinstance(error, UnreadablePath) else (None, None)
    text = f"{what} ({reason or error or 'not permitted'})"
    return OutputFailure(text, where=where, hint=hint or _RIGHTS)
