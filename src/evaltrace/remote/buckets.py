"""Buckets of S3, Google and Azure, through obstore."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from evaltrace.errors import OutputFailure, UnreadablePath
from evaltrace.remote.credentials import (
    CREDENTIAL_HINTS,
    aws_session,
    is_anonymous,
    other_settings,
    s3_settings,
)
from evaltrace.remote.places import Place
from evaltrace.remote.ranges import Ranges
from evaltrace.remote.stores import Changed, Object, Refused, Vanished
from evaltrace.untrusted import one_line

_PAGE = 1000
_REGION = re.compile(r"expecting '([\w-]+)'|<Region>([\w-]+)</Region>")
_CODE = re.compile(r"<Code>(\w+)</Code>(?:\s*<Message>([^<]*)</Message>)?")
_NETWORK = "Check the network and the endpoint (AWS_ENDPOINT_URL for S3); run again to go on."


def _load() -> tuple[Any, Any, Any]:
    """Load the client: its functions, its exceptions, its stores."""
    import obstore
    import obstore.exceptions
    import obstore.store

    return obstore, obstore.exceptions, obstore.store


class Bucket:
    """A bucket of an object store."""

    def __init__(self, scheme: str, name: str) -> None:
        self.place = Place(scheme, name, "")
        self.ordered = scheme in ("s3", "gs")
        self._client, self._faults, stores = _load()
        self._settings = s3_settings(name) if scheme == "s3" else other_settings(scheme)
        with self._errors(""):
            if scheme == "s3":
                self._store = stores.S3Store(name, **self._settings)
            else:
                self._store = stores.from_url(self.place.url, **self._settings)

    def pages(self, prefix: str, after: str | None = None) -> Iterator[list[Object]]:
        """List everything below a prefix."""
        try:
            yield from self._pages(prefix, after)
        except self._faults.InvalidPathError as error:
            # One odd name makes its client refuse the whole listing.
            if self.place.scheme != "s3":
                hint = "Rename the object, or name the jobs beside it one by one."
                what = f"an object there has an unusable name ({_reason(error)})"
                raise UnreadablePath(what, where=f"{self.place.url}/{prefix}", hint=hint) from None
            yield from self._plain_pages(prefix, after)

    def _pages(self, prefix: str, after: str | None) -> Iterator[list[Object]]:
        with self._errors(prefix):
            listing = self._client.list(self._store, prefix or None, offset=after, chunk_size=_PAGE)
            for page in listing:
                yield [Object(row["path"], row["size"], row["e_tag"]) for row in page]

    def _plain_pages(self, prefix: str, after: str | None) -> Iterator[list[Object]]:
        from botocore import UNSIGNED
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        client = aws_session().create_client(
            "s3",
            region_name=self._settings["region"],
            endpoint_url=self._settings.get("endpoint"),
            config=Config(signature_version=UNSIGNED) if is_anonymous() else None,
        )
        rows = client.get_paginator("list_objects_v2").paginate(
            Bucket=self.place.bucket, Prefix=prefix, StartAfter=after or ""
        )
        try:
            for page in rows:
                found = page.get("Contents", ())
                yield [Object(row["Key"], row["Size"], row["ETag"]) for row in found]
        except (BotoCoreError, ClientError) as error:
            self._raise(prefix, error)

    def level(self, prefix: str) -> tuple[list[str], list[Object]]:
        """List one level; where a name in it is odd, everything below the prefix is listed."""
        try:
            with self._errors(prefix):
                found = self._client.list_with_delimiter(self._store, prefix or None)
        except self._faults.InvalidPathError:
            return _level_of(prefix, self.pages(prefix))
        folders = [path.rstrip("/").rpartition("/")[2] for path in found["common_prefixes"]]
        objects = [Object(row["path"], row["size"], row["e_tag"]) for row in found["objects"]]
        return sorted(folders), objects

    def look(self, key: str) -> Object | None:
        """Ask for an object's size and tag."""
        try:
            with self._errors(key):
                row = self._client.head(self._store, key)
        except Vanished:
            return None
        except Refused:
            raise self._denied(key) from None
        return Object(key, row["size"], row["e_tag"])

    def read(self, key: str, start: int, stop: int, tag: str | None) -> memoryview:
        """Read a range, of the object with this tag only."""
        options: dict[str, Any] = {}
        if start or stop > start:
            options["range"] = (start, stop)
        if tag:
            options["if_match"] = tag
        try:
            found = self._client.get(self._store, key, options=options)
            return memoryview(found.bytes())
        except Exception as error:
            self._raise_ours(key, error)

    def open(self, key: str) -> BinaryIO:
        """Open an object, read ahead in ranges."""
        found = self.look(key)
        if found is None:
            raise FileNotFoundError(2, "no such object", self.place.below(key).url)
        return BufferedReader(Ranges(self, found, self.place.below(key).url), 1 << 16)

    def put(self, key: str, source: Path, *, create: bool) -> bool:
        """Upload a file: in parts, if it is large, that become an object together."""
        try:
            with self._errors(key):
                self._client.put(self._store, key, source, mode="create" if create else "overwrite")
        except self._faults.AlreadyExistsError:
            return False
        except (UnreadablePath, Vanished, Refused) as error:
            raise self._not_written(key, error) from None
        return True

    def remove(self, key: str) -> None:
        """Remove an object."""
        try:
            with self._errors(key):
                self._client.delete(self._store, key)
        except Vanished:
            return
        except (UnreadablePath, Refused) as error:
            raise self._not_written(key, error) from None

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Turn the client's errors into ours."""
        try:
            yield
        except Exception as error:
            self._raise_ours(key, error)

    def _raise_ours(self, key: str, error: Exception) -> NoReturn:
        """Raise what an error of the client means; what is none of the client's stays as it is."""
        faults = self._faults
        if isinstance(error, faults.InvalidPathError | faults.AlreadyExistsError):
            raise error
        if isinstance(error, faults.NotFoundError | FileNotFoundError):
            if "NoSuchBucket" in str(error):
                self._raise(key, error)
            raise Vanished from None
        if isinstance(error, faults.PreconditionError):
            raise Changed from None
        if isinstance(error, faults.PermissionDeniedError):
            if _code(error) in _NO_CREDENTIALS:
                self._raise(key, error)
            raise Refused(_reason(error)) from None
        if isinstance(error, faults.BaseError | OSError | ValueError):
            if _code(error) == "AccessDenied":  # of a listing
                raise Refused(_reason(error)) from None
            self._raise(key, error)
        raise error

    def _raise(self, key: str, error: Exception) -> NoReturn:
        place = self.place.below(key) if key else self.place
        unknown = isinstance(error, self._faults.UnauthenticatedError)
        raise _explained(place, error, unknown) from None

    def _denied(self, key: str) -> UnreadablePath:
        hint = "Check that these credentials may list and read the bucket."
        return UnreadablePath("not permitted", where=self.place.below(key).url, hint=hint)

    def _not_written(self, key: str, error: Exception) -> OutputFailure:
        reason, hint = "not permitted", "Check that these credentials may write to the bucket."
        if isinstance(error, UnreadablePath):
            reason, hint = error.what, error.hint or hint
        where = self.place.below(key).url
        return OutputFailure(f"cannot write the output ({reason})", where=where, hint=hint)


_NO_CREDENTIALS = (
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
    "TokenRefreshRequired", "RequestTimeTooSkewed", "AuthenticationFailed",
)  # fmt: skip
"""Codes that are about who asks, not about what is asked for."""


def _explained(place: Place, error: Exception, unknown: bool) -> UnreadablePath:
    """Say what a failed request means; `unknown` if the store does not know who asks."""
    text, code = str(error), _code(error)
    if code == "NoSuchBucket":
        hint = "Check its spelling, and that the account and the endpoint are the right ones."
        return UnreadablePath("no such bucket", where=place.url, hint=hint)
    region = _REGION.search(text)
    if region or code == "PermanentRedirect" or "301 Moved" in text:
        name = (region[1] or region[2]) if region else "the region of the bucket"
        hint = f"Set AWS_REGION to {name}."
        return UnreadablePath("the bucket is in another region", where=place.url, hint=hint)
    if unknown or code in _NO_CREDENTIALS or _lacks_account(text):
        hint = CREDENTIAL_HINTS.get(place.scheme, CREDENTIAL_HINTS["az"])
        what = f"no credentials, or not accepted ({_reason(error)})"
        return UnreadablePath(what, where=place.url, hint=hint)
    return UnreadablePath(f"cannot be reached ({_reason(error)})", where=place.url, hint=_NETWORK)


def _lacks_account(text: str) -> bool:
    """Tell whether nothing was set, or what failed was the question for the machine's role."""
    asked = ("169.254.169.254", "metadata.google.internal", "Account must be specified")
    return any(name in text[:400] for name in asked)


def _code(error: Exception) -> str | None:
    found = _CODE.search(str(error))
    return found[1] if found else None


def _reason(error: Exception) -> str:
    """Give the reason that the server names, else the beginning of the client's words."""
    text = str(error)
    found = _CODE.search(text)
    if found:
        return one_line(f"{found[1]}: {found[2]}" if found[2] else found[1], 200)
    return one_line(text.partition("\n")[0], 200)


def _level_of(prefix: str, pages: Iterator[list[Object]]) -> tuple[list[str], list[Object]]:
    folders: dict[str, None] = {}
    objects: list[Object] = []
    for page in pages:
        for row in page:
            name, slash, _ = row.key.removeprefix(prefix).partition("/")
            if not slash:
                objects.append(row)
            elif name:
                folders[name] = None
    # An object whose name begins with a slash is kept apart by pages(), not by names.
    return sorted(folders), objects
