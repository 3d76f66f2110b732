"""Keys of objects as paths of files: what cannot be one, and what is not fetched."""

from __future__ import annotations

import re

_SEGMENT_BYTES = 255
_PATH_BYTES = 3000
"""Below what a system takes for a path, with room for the folder that it is put into."""

_ORDINARY = re.compile(r"(?:[\w@+=,~-][\w.@+=,~ -]{0,200}(?:/(?!$)|$)){1,14}", re.A)
"""Nearly all keys: they need no closer look."""

_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NEVER_READ = (
    ".gz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".tar", ".tgz", ".whl", ".jar",
    ".png", ".jpg", ".jpeg", ".gif", ".webp", ".ico", ".pdf", ".mp3", ".wav",
    ".mp4", ".webm", ".mov", ".avi", ".mkv", ".woff", ".woff2", ".ttf",
    ".so", ".o", ".a", ".dll", ".dylib", ".exe", ".wasm", ".pyc", ".class",
    ".sqlite", ".sqlite3", ".db", ".db-wal", ".db-shm", ".parquet", ".npy", ".npz", ".pkl",
    ".pt", ".onnx", ".safetensors",
)  # fmt: skip
"""Suffixes of files that no reader opens, whatever wrote them: only their size may count."""


def why_unusable(key: str) -> str | None:
    """Tell why a key cannot be the path of a file below a folder, None where it can."""
    if _ORDINARY.fullmatch(key):
        return None
    segments = key.split("/")
    if not all(segments):
        return "part of its name is empty"
    if any(segment in (".", "..") for segment in segments):
        return "its name leads out of its place"
    if _CONTROL.search(key):
        return "its name holds control characters"
    if _SURROGATE.search(key):
        return "its name is no UTF-8"
    if "\\" in key or any(_DRIVE.match(segment) for segment in segments):
        return "its name is a path of Windows"
    if max(len(segment.encode()) for segment in segments) > _SEGMENT_BYTES:
        return f"part of its name is longer than {_SEGMENT_BYTES} bytes"
    if len(key.encode()) > _PATH_BYTES:
        return f"its name is longer than {_PATH_BYTES} bytes"
    return None


def is_never_read(path: str) -> bool:
    """Tell whether no reader opens the content of a trial's file."""
    return path.lower().endswith(_NEVER_READ)
