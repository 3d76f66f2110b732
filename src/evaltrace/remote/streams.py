"""Single objects as files: read as a stream, written whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from evaltrace.errors import OutputFailure, UnreadablePath
from evaltrace.remote.opening import open_store
from evaltrace.remote.places import to_place
from evaltrace.remote.stores import Refused
from evaltrace.remote.threads import interruptible


@contextmanager
def open_input(url: str) -> Iterator[BinaryIO]:
    """Open an object as a stream, read ahead but never held whole; raises UnreadablePath."""
    place = to_place(url)
    try:
        file = interruptible(open_store(place).open, place.key)
    except FileNotFoundError:
        hint = "Check its spelling."
        raise UnreadablePath("no such object", where=url, hint=hint) from None
    except Refused as error:
        hint = "Check that these credentials may read it."
        raise UnreadablePath(f"not permitted ({error})", where=url, hint=hint) from None
    with file:
        yield file


@contextmanager
def whole_object(url: str) -> Iterator[BinaryIO]:
    """Open a file that becomes an object when the block ends, or not at all.

    It waits on this disk until it is complete. Raises OutputFailure.
    """
    place = to_place(url)
    if not place.key or url.endswith("/"):
        hint = "Name an object: a URL that does not end in a slash."
        raise OutputFailure("the output has no name", where=url, hint=hint)
    try:
        store = open_store(place)
        # Hours of work are not to end at a bucket that is not there.
        with suppress(Refused):
            interruptible(next, store.pages(f"{place.key}/"), None)
    except UnreadablePath as error:
        what = f"cannot write the output ({error.what})"
        raise OutputFailure(what, where=url, hint=error.hint) from None
    with tempfile.TemporaryDirectory(prefix="evaltrace-") as folder:
        path = Path(folder, "output")
        with path.open("xb") as file:
            yield file
        store.put(place.key, path, create=False)
