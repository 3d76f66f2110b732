"""Standard output for what is data, not text for people."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from evaltrace.untrusted import PrintableJson

if TYPE_CHECKING:
    from typing import BinaryIO


@contextmanager
def json_output() -> Iterator[BinaryIO]:
    """Give standard output for JSON: what a terminal would act on is escaped, the values stay.

    The same bytes whoever reads them: a program, a terminal, a file.
    """
    out = PrintableJson(sys.stdout.buffer)
    yield cast("BinaryIO", out)
    out.finish()
