"""URLs of objects and of folders of them, taken apart and put together."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from evaltrace.errors import UnreadablePath

OBJECT_STORES = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "abfs",
                 "abfss": "abfss"}  # fmt: skip
"""Schemes of object stores, with the spelling that their client knows."""

# Two letters at least: C:// is a drive.
_COLLAPSED = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/([^/].*)", re.S)
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.S)


@dataclass(frozen=True, slots=True)
class Place:
    """An object, or a folder of objects: a bucket and a key without slashes at its ends."""

    scheme: str
    bucket: str
    key: str

    @property
    def url(self) -> str:
        """The URL, without a slash at its end."""
        return f"{self.scheme}://{self.bucket}" + (f"/{self.key}" if self.key else "")

    @property
    def prefix(self) -> str:
        """What the keys of all objects in this folder begin with."""
        return f"{self.key}/" if self.key else ""

    @property
    def name(self) -> str:
        """The last part: the name of a folder that holds the same."""
        return self.key.rpartition("/")[2] or self.bucket

    @property
    def parent(self) -> Place | None:
        """The folder around this one, None around a bucket."""
        return replace(self, key=self.key.rpartition("/")[0]) if self.key else None

    def below(self, name: str) -> Place:
        """Give what has this name in this folder."""
        return replace(self, key=self.prefix + name)


def is_url(path: object) -> bool:
    """Tell whether a path given by the user is a URL."""
    return isinstance(path, str) and _URL.fullmatch(path) is not None


def url_of(path: str | Path) -> str | None:
    """Give the URL that a path stands for; a Path has lost one of its slashes. None for files."""
    text = str(path)
    if is_url(text):
        return text
    found = _COLLAPSED.fullmatch(text) if isinstance(path, Path) else None
    return f"{found[1]}://{found[2]}" if found and not os.path.lexists(text) else None


def to_place(url: str) -> Place:
    """Take a URL apart; raises UnreadablePath where it names no bucket."""
    found = _URL.fullmatch(url)
    bucket, _, key = found[2].partition("/") if found else ("", "", "")
    if not found or not bucket:
        hint = "A URL looks like s3://bucket/folder; check its spelling."
        raise UnreadablePath("no URL of an object or a folder", where=url, hint=hint)
    scheme = found[1].lower()
    return Place(OBJECT_STORES.get(scheme, scheme), bucket, key.strip("/"))
