"""Requests to a receiver over HTTP, as OTLP/JSON or, where it takes only that, protobuf."""

from __future__ import annotations

import re
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPMessage, InvalidURL
from itertools import count
from math import isnan
from ssl import SSLCertVerificationError
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import msgspec

from evaltrace.errors import EvaltraceError
from evaltrace.otlp.protobuf import RESPONSE, from_protobuf, to_protobuf
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
_SHORT = 6
"""Characters up to which the word of a header is too common to cross out."""
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
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

    def http_error_302(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage
    ) -> None:
        return None

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


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
        self._address, login = traces_url(endpoint)
        self.url = self._address.partition("?")[0]
        """The address as it may be shown: what is asked for in it may be a credential."""
        self.headers = {**login, **(headers or {})}
        check_headers(self.headers)
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
            sent.spans += _count(request)
            rejected, message = _partial(reply)
            sent.rejected += min(rejected, _count(request))
            message = self._without_secrets(message or "")
            if message and message not in sent.messages:
                sent.messages.append(message)
        return sent

    def _post(self, request: dict[str, Any], sent: Sent) -> tuple[str, bytes]:
        for attempt in count():
            try:
                with self._opener.open(self._request(request), timeout=_TIMEOUT_S) as reply:
                    return reply.headers.get_content_type(), _body(reply)
            except HTTPError as error:
                with error:
                    wait = self._after_refusal(error, attempt, sent)
            except (HTTPException, OSError, ValueError) as error:
                wait = self._after_silence(error, attempt, sent)
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
        return Request(self._address, packed(body), {**self.headers, **own}, method="POST")

    def _after_silence(self, error: Exception, attempt: int, sent: Sent) -> float:
        """Give the seconds to wait until the next attempt. Raises SendFailure if none is due."""
        cause = getattr(error, "reason", error)
        # Not of a certificate or an address, which will be no better the next time.
        lasts = isinstance(cause, SSLCertVerificationError | ValueError | InvalidURL)
        if not lasts and attempt + 1 < _CALLS:
            return _backoff(attempt)
        hint = "Check the address, and that the receiver runs."
        if isinstance(cause, SSLCertVerificationError):
            hint = "Name the file of an authority of your own in SSL_CERT_FILE."
        reason = one_line(self._without_secrets(str(cause)), 200)
        raise self._failure(f"cannot reach the receiver ({reason})", hint, sent) from None

    def _after_refusal(self, error: HTTPError, attempt: int, sent: Sent) -> float:
        """Give the seconds to wait until the next attempt. Raises SendFailure if none is due."""
        if error.code == 415 and not self.is_fixed:
            self.encoding, self.is_fixed = "protobuf", True
            return 0
        if error.code in _RETRIED and attempt + 1 < _ATTEMPTS:
            return _asked_wait(error.headers.get("Retry-After")) or _backoff(attempt)
        if 300 <= error.code < 400:
            place = _host(error.headers.get("Location", "")) or "another path"
            hint = f"It points to {place}: name that if you trust it."
            raise self._failure(f"the receiver redirects ({error.code})", hint, sent)
        text = one_line(self._without_secrets(_reason(error)), 200)
        what = f"the receiver refused ({error.code}{': ' + text if text else ''})"
        raise self._failure(what, _HINTS.get(error.code), sent)

    def _without_secrets(self, text: str) -> str:
        """Cross out what some receivers repeat of the headers that they were sent."""
        words = {word for value in self.headers.values() for word in (value, *value.split())}
        for word in sorted(words, key=len, reverse=True):
            text = text.replace(word, "***") if len(word) > _SHORT else text
        return text

    def _failure(self, what: str, hint: str | None, sent: Sent) -> SendFailure:
        if sent.spans:
            hint = f"{sent.spans} spans were accepted before. {hint or ''}".strip()
        return SendFailure(what, where=self.url, hint=hint)


def traces_url(endpoint: str) -> tuple[str, dict[str, str]]:
    """Give the address to post to, and the login within it as a header.

    The path of traces is added where it is missing. Raises SendFailure.
    """
    try:
        parts = urlsplit(endpoint)
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port, True)[1]
        (parts.hostname or "").encode("idna")
        rest = parts.path + parts.query
        known = known and rest.isascii() and endpoint.isprintable() and not set(" #") & {*endpoint}
    except ValueError:
        known = False
    if not known:
        # Wherever a login ends in what is no address, it is before the last @.
        where = one_line(endpoint.rpartition("@")[2].partition("?")[0], 200)
        hint = "Name it with its scheme, such as http://localhost:4318"
        raise SendFailure("no address of a receiver", where=where, hint=hint)
    login, _, host = parts.netloc.rpartition("@")
    path = parts.path.rstrip("/")
    path = path if path.endswith(PATH) else path + PATH
    url = urlunsplit((parts.scheme, host, path, parts.query, ""))
    if not login:
        return url, {}
    return url, {"Authorization": "Basic " + b64encode(unquote(login).encode()).decode()}


def check_headers(headers: Mapping[str, str]) -> None:
    """Make sure that headers can be sent. Raises SendFailure, without what is in them."""
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not value.isprintable() or not _is_latin(value):
            hint = "A name is letters, digits and hyphens; a value is one line of Latin-1."
            raise SendFailure("a header that cannot be sent", where=one_line(name, 60), hint=hint)


def _is_latin(text: str) -> bool:
    return all(ord(character) < 256 for character in text)


def _host(address: str) -> str:
    try:
        return one_line(urlsplit(address).netloc.rpartition("@")[2], 100)
    except ValueError:
        return ""


def _body(reply: Any) -> bytes:
    """Read the start of an answer; one that comes in drops is not waited for to its end."""
    content = b""
    until = time.monotonic() + _TIMEOUT_S
    while len(content) < _REPLY and time.monotonic() < until:
        piece = reply.read1(_REPLY - len(content))
        if not piece:
            break
        content += piece
    return content


def _count(request: dict[str, Any]) -> int:
    return sum(len(group["scopeSpans"][0]["spans"]) for group in request["resourceSpans"])


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
        rejected = max(int(partial.get("rejectedSpans") or 0), 0)
        return rejected, one_line(message, 500) if message else None
    except (AttributeError, TypeError, ValueError, OverflowError, RecursionError):
        return 0, None


def _reason(error: HTTPError) -> str:
    try:
        content = _body(error.fp)
    except (OSError, HTTPException):
        return ""
    try:
        document = msgspec.json.decode(content)
        told = document.get("message") or document.get("detail") or document.get("error")
        return told if isinstance(told, str) else ""
    except (msgspec.DecodeError, AttributeError, RecursionError):
        return content.decode() if content.isascii() else ""


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
        except (TypeError, ValueError, OverflowError, OSError):
            return None
    return None if isnan(asked) else min(max(asked, 0.0), _LONGEST_WAIT_S)
