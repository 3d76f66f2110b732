"""The files of one directory, read and never written, never followed out of it.

`Source` is how every reader opens files. It lists lazily, opens regular files only,
follows a symbolic link only inside the boundary (the job directory), bounds what it
reads, and turns whatever goes wrong into a Problem. It remembers what it looked at.
"""

from __future__ import annotations

from evaltrace.source.names import path_in, readable, spelled
from evaltrace.source.reading import MAX_DOCUMENT, MAX_LINE, Source
from evaltrace.source.stamps import Stamp, stamp_of
from evaltrace.source.supplies import Supply, Tell, supplied
from evaltrace.source.texts import Text

__all__ = [
    "MAX_DOCUMENT",
    "MAX_LINE",
    "Source",
    "Stamp",
    "Supply",
    "Tell",
    "Text",
    "path_in",
    "readable",
    "spelled",
    "stamp_of",
    "supplied",
]
