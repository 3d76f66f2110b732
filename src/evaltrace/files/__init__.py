"""Files of traces: written whole or not at all, read line by line.

The layout we write is one valid JSON document that is also a stream: a head line, one
trace a line, and a tail. Whatever was re-serialised since is read as well, and so is a store.
"""

from evaltrace.files.folders import Folder, LocalFolder, committed
from evaltrace.files.forms import holds_traces, is_database, is_dataset
from evaltrace.files.reading import (
    STANDARD_INPUT,
    Frame,
    read_documents,
    read_items,
    read_traces,
)
from evaltrace.files.removal import remove_folder
from evaltrace.files.replacement import ARCHIVE, whole_file
from evaltrace.files.spans import Span, copy_span
from evaltrace.files.writing import SEPARATOR, write_jsonl, write_traces

__all__ = [
    "ARCHIVE",
    "SEPARATOR",
    "STANDARD_INPUT",
    "Folder",
    "Frame",
    "LocalFolder",
    "Span",
    "committed",
    "copy_span",
    "holds_traces",
    "is_database",
    "is_dataset",
    "read_documents",
    "read_items",
    "read_traces",
    "remove_folder",
    "whole_file",
    "write_jsonl",
    "write_traces",
]
