"""Everything else that has URLs, through fsspec."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from evaltrace.errors import OutputFailure, UnreadablePath
from evaltrace.remote.places import Place
from evaltrace.remote.stores import Object, Refused, Vanished
from evaltrace.untrusted import one_line


class Filesystem:
    """A file system of fsspec below one host or bucket."""

    ordered = False

    def __init__(self, scheme: str, name: str) -> None:
        self.place = Place(scheme, name, "")
        import fsspec

        try:
            self._fs, self._root = fsspec.core.url_to_fs(self.place.url)
        except ValueError as error:
            hint = "Object stores are s3://, gs:// and az://; others are those of fsspec."
            raise UnreadablePath(
                one_line(str(error), 200), where=self.place.url, hint=hint
            ) from None

    def pages(self, prefix: str, after: str | None = None) -> Iterator[list[Object]]:
        """List everything below a prefix, in one page."""
        with self._errors(prefix):
            found = self._fs.find(self._path(prefix.rstrip("/")), detail=True)
        rows = (self._object(path, about) for path, about in sorted(found.items()))
        yield [row for row in rows if row.key.startswith(prefix) and row.key > (after or "")]

    def level(self, prefix: str) -> tuple[list[str], list[Object]]:
        """List one level."""
        try:
            with self._errors(prefix):
                rows = self._fs.ls(self._path(prefix.rstrip("/")), detail=True)
        except Vanished:
            return [], []
        folders = sorted(
            self._key(row["name"]).rpartition("/")[2] for row in rows if row["type"] == "directory"
        )
        return folders, [self._object(row["name"], row) for row in rows if row["type"] == "file"]

    def look(self, key: str) -> Object | None:
        """Ask for a file's size and tag; a folder is none."""
        try:
            with self._errors(key):
                about = self._fs.info(self._path(key))
        except Vanished:
            return None
        return self._object(self._path(key), about) if about["type"] == "file" else None

    def read(self, key: str, start: int, stop: int, tag: str | None) -> bytes:
        """Read a range."""
        with self._errors(key):
            limits = (start, stop) if start or stop > start else (None, None)
            return cast(bytes, self._fs.cat_file(self._path(key), *limits))

    def open(self, key: str) -> BinaryIO:
        """Open a file."""
        try:
            with self._errors(key):
                return cast(BinaryIO, self._fs.open(self._path(key), "rb"))
        except Vanished:
            raise FileNotFoundError(2, "no such file", self.place.below(key).url) from None

    def put(self, key: str, source: Path, *, create: bool) -> bool:
        """Write a file at once."""
        try:
            self._fs.pipe_file(
                self._path(key), source.read_bytes(), mode="create" if create else "overwrite"
            )
        except FileExistsError:
            return False
        except Exception as error:
            raise self._not_written(key, error) from None
        return True

    def remove(self, key: str) -> None:
        """Remove a file."""
        try:
            self._fs.rm_file(self._path(key))
        except FileNotFoundError:
            return
        except Exception as error:
            raise self._not_written(key, error) from None

    def _path(self, key: str) -> str:
        return f"{self._root.rstrip('/')}/{key}" if key else str(self._root)

    def _key(self, path: str) -> str:
        return path.removeprefix(self._root.rstrip("/")).strip("/")

    def _object(self, path: str, about: dict[str, Any]) -> Object:
        tag = about.get("ETag") or about.get("etag") or about.get("md5Hash")
        return Object(self._key(path), about.get("size") or 0, str(tag) if tag else None)

    def _not_written(self, key: str, error: Exception) -> OutputFailure:
        where = self.place.below(key).url
        hint = "Check that it may be written to; object stores are s3://, gs:// and az://."
        return OutputFailure(f"cannot write the output ({_reason(error)})", where=where, hint=hint)

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise Vanished from None
        except PermissionError as error:
            raise Refused(_reason(error)) from None
        # Each file system of fsspec raises what its own library raises.
        except Exception as error:
            hint = "Check the URL and the network."
            raise UnreadablePath(
                f"cannot be read ({_reason(error)})", where=self.place.below(key).url, hint=hint
            ) from None


def _reason(error: Exception) -> str:
    return one_line(str(error) or type(error).__name__, 200)
