"""Names for events that no other writer has, whatever process it is in."""

from __future__ import annotations

import os
from itertools import count


class _Writer:
    """This process as a writer; a forked child is another one."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self.name = os.urandom(6).hex()
        self.numbers = count(1)


_writer = _Writer()


def writer_name() -> str:
    """Name this process among all that write to a journal."""
    return _writer.name


def next_id() -> str:
    """Make the id of an event: the writer's name, a dash, a number."""
    return f"{_writer.name}-{next(_writer.numbers)}"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_writer.renew)
