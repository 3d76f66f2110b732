"""Requests to a receiver over HTTP, as OTLP/JSON or, where it takes only that, protobuf."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPMessage
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import msgspec

from evaltrace.errors import EvaltraceError
from evaltrace.otlp.protobuf import RESPONSE, NotProtobuf, from_protobuf, to_protobuf
from evaltrace.otlp.requests import batches, packed
from evaltrace.untrusted import one_line
from evaltrace.version import __version__

PATH = "/v1/traces"
"""Where a receiver takes traces, below the address that it is known by."""

MOST_SPANS = 512
MOST_BYTES = 1_000_000
_ATTEMPTS = 5
_CALLS = 3
"""Attempts to reach a receiver that does not answer at all."""
_LONGEST_WAIT_S = 30.0
_TIMEOUT_S = 30
_RETRIED = (429, 502, 503, 504)
_REPLY = 65_536
_TYPES = {"json": "application/json", "protobuf": "application/x-protobuf"}
_HINTS = {
    401: "Check the credentials given with --header.",
    403: "Check the credentials given with --header.",
    404: f"Check the address: traces go to {PATH} below it.",
    413: "A span is too large for the receiver: leave out --content.",
    415: "The receiver takes neither JSON nor protobuf there: check the address.",
}


class SendFailure(EvaltraceError):
    """A receiver that cannot be reached, or refused what was sent."""


@dataclass(slots=True)
class Sent:
    """What became of what was sent; `messages` are the receiver's own."""

    spans: int = 0
    requests: int = 0
    rejected: int = 0
    messages: list[str] = field(default_factory=list)


class _NoRedirect(HTTPRedirectHandler):
    """Redirects are not followed: the headers may hold credentials."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


class Receiver:
    """Where traces are sent to: a collector, or whatever speaks OTLP over HTTP.

    `encoding` is json, protobuf, or auto: JSON until the receiver refuses that type. Headers
    are sent and never shown; a name and password in the address become one.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        headers: Mapping[str, str] | None = None,
        encoding: str = "auto",
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.url, login = traces_url(endpoint)
        self.headers = {**login, **(headers or {})}
        self.encoding, self.is_fixed = ("json", False) if encoding == "auto" else (encoding, True)
        self._sleep = sleep
        self._opener = build_opener(_NoRedirect)

    def send(self, requests: Iterable[dict[str, Any]]) -> Sent:
        """Send requests, joined and split into batches. Raises SendFailure at the first refused.

        What was accepted before stays at the receiver; to send it again does no harm there, as
        spans have the same identifiers each time.
        """
        sent = Sent()
        for request in batches(requests, MOST_SPANS, MOST_BYTES):
            reply = self._post(request, sent)
            sent.requests += 1
            sent.spans += sum(len(g["scopeSpans"][0]["spans"]) for g in request["resourceSpans"])
            rejected, message = _partial(reply)
            sent.rejected += rejected
            if message and message not in sent.messages:
                sent.messages.append(message)
        return sent

    def _post(self, request: dict[str, Any], sent: Sent) -> tuple[str, bytes]:
        for attempt in range(_ATTEMPTS):
            try:
                with self._opener.open(self._request(request), timeout=_TIMEOUT_S) as reply:
                    return reply.headers.get_content_type(), reply.read(_REPLY)
            except HTTPError as error:
                with error:
                    wait = self._after_refusal(error, attempt, sent)
            except (URLError, HTTPException, OSError) as error:
                reason = one_line(str(getattr(error, "reason", error)), 200)
                if attempt + 1 == _CALLS:
                    hint = "Check the address, and that the receiver runs."
                    raise self._failure(
                        f"cannot reach the receiver ({reason})", hint, sent
                    ) from None
                wait = _backoff(attempt)
            self._sleep(wait)
        raise AssertionError

    def _request(self, request: dict[str, Any]) -> Request:
        is_json = self.encoding == "json"
        body = msgspec.json.encode(request) if is_json else to_protobuf(request)
        own = {
            "Content-Type": _TYPES[self.encoding],
            "Content-Encoding": "gzip",
            "User-Agent": f"evaltrace/{__version__}",
        }
        return Request(self.url, packed(body), {**self.headers, **own}, method="POST")

    def _after_refusal(self, error: HTTPError, attempt: int, sent: Sent) -> float:
        """Give the seconds to wait until the next attempt. Raises SendFailure if none is due."""
        if error.code == 415 and not self.is_fixed:
            self.encoding, self.is_fixed = "protobuf", True
            return 0
        if error.code in _RETRIED and attempt + 1 < _ATTEMPTS:
            return _asked_wait(error.headers.get("Retry-After")) or _backoff(attempt)
        if 300 <= error.code < 400:
            place = urlsplit(error.headers.get("Location", "")).netloc.rpartition("@")[2]
            hint = (
                f"It points to {one_line(place, 100) or 'another path'}: name that if you trust it."
            )
            raise self._failure(f"the receiver redirects ({error.code})", hint, sent)
        text = one_line(_reason(error), 200)
        what = f"the receiver refused ({error.code}{': ' + text if text else ''})"
        raise self._failure(what, _HINTS.get(error.code), sent)

    def _failure(self, what: str, hint: str | None, sent: Sent) -> SendFailure:
        if sent.spans:
            hint = f"{sent.spans} spans were accepted before. {hint or ''}".strip()
        return SendFailure(what, where=self.url, hint=hint)


def traces_url(endpoint: str) -> tuple[str, dict[str, str]]:
    """Give the address to post to, and the login within it as a header.

    The path of traces is added where it is missing. Raises SendFailure.
    """
    parts = urlsplit(endpoint)
    try:
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port, True)[1]
    except ValueError:
        known = False
    login, _, host = parts.netloc.rpartition("@")
    if not known:
        where = urlunsplit(parts._replace(netloc=host, query=""))
        hint = "Name it with its scheme, such as http://localhost:4318"
        raise SendFailure("no address of a receiver", where=where, hint=hint)
    path = parts.path.rstrip("/")
    path = path if path.endswith(PATH) else path + PATH
    url = urlunsplit((parts.scheme, host, path, parts.query, ""))
    if not login:
        return url, {}
    return url, {"Authorization": "Basic " + b64encode(unquote(login).encode()).decode()}


def _partial(reply: tuple[str, bytes]) -> tuple[int, str | None]:
    """Give how many spans a receiver left out of what it accepted, and what it says."""
    kind, content = reply
    try:
        if kind == _TYPES["protobuf"]:
            document = from_protobuf(content, RESPONSE)
        else:
            document = msgspec.json.decode(content or b"{}")
        partial = document.get("partialSuccess") or {}
        message = partial.get("errorMessage")
        return int(partial.get("rejectedSpans") or 0), one_line(message, 500) if message else None
    except (NotProtobuf, msgspec.DecodeError, AttributeError, TypeError, ValueError):
        return 0, None


def _reason(error: HTTPError) -> str:
    try:
        content = error.read(_REPLY)
    except (OSError, HTTPException):
        return ""
    try:
        document = msgspec.json.decode(content)
        told = document.get("message") or document.get("detail") or document.get("error")
        return told if isinstance(told, str) else ""
    except (msgspec.DecodeError, AttributeError):
        return content.decode("utf-8", "replace") if content.isascii() else ""


def _backoff(attempt: int) -> float:
    return min(2.0**attempt, _LONGEST_WAIT_S)


def _asked_wait(value: str | None) -> float | None:
    """Give the seconds that a receiver asks for, as a number or a date; bounded."""
    if not value:
        return None
    try:
        asked = float(value)
    except ValueError:
        try:
            asked = parsedate_to_datetime(value).timestamp() - time.time()
        except (TypeError, ValueError):
            return None
    return min(max(asked, 0.0), _LONGEST_WAIT_S)
