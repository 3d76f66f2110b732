"""An address that Prometheus scrapes, and the same text once."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from evaltrace.errors import EvaltraceError, MissingPackage, ServingFailure
from evaltrace.metrics.families import to_families
from evaltrace.metrics.totals import open_store, read_totals

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

    from prometheus_client.core import Metric

T = TypeVar("T")

LOOPBACK = "127.0.0.1"
_PATIENCE_S = 10.0
"""How long a connection may say nothing."""


class StoreCollector:
    """Reads a store whenever it is asked for metrics; keeps nothing but what it complained of.

    `report` gets a line where the store cannot be read: once, until it was read again.
    """

    def __init__(self, store: Path | None, report: Callable[[str], object]) -> None:
        self._store = store
        self._report = report
        self._trouble: str | None = None
        self._alone = Lock()

    def collect(self) -> Iterator[Metric]:
        """Give the metric families of the store as it is now."""
        # Scrapes that come faster than they are answered wait, rather than read side by side.
        with self._alone:
            totals = self._tried(read_totals)
        yield from to_families(totals)

    def open_once(self) -> None:
        """Open the store, so that it is told at once where it cannot be read."""
        with self._alone:
            self._tried(open_store)

    def _tried(self, read: Callable[[Path | None], T]) -> T | None:
        try:
            result = read(self._store)
        except EvaltraceError as error:
            trouble = str(error)
            if trouble != self._trouble:
                self._report(trouble)
            self._trouble = trouble
            return None
        self._trouble = None
        return result


def render_exposition(store: Path | None = None) -> str:
    """Render the metrics of a store, or of the default one, in the text format of Prometheus.

    Raises what opening a store raises, and MissingPackage.
    """
    registry = _registry()
    totals = read_totals(store)
    from prometheus_client import generate_latest

    registry.register(_Read(list(to_families(totals))))
    return generate_latest(registry).decode()


class _Read:
    """Families that were read already, as a registry wants them."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


def open_server(
    store: Path | None,
    port: int,
    *,
    host: str = LOOPBACK,
    report: Callable[[str], object] = lambda line: None,
) -> WSGIServer:
    """Open an address that gives the metrics of a store; `serve_forever` of it answers.

    Port 0 takes a free one: `address_of` tells which. A store that cannot be read, which may
    come later, is told to `report`. Raises MissingPackage, and ServingFailure where the address
    cannot be had.
    """
    registry = _registry()
    from wsgiref.simple_server import make_server

    from prometheus_client import make_wsgi_app

    collector = StoreCollector(store, report)
    registry.register(collector)
    collector.open_once()
    try:
        family, *_, (address, *_) = _resolved(host, port)
        return make_server(
            str(address),
            port,
            make_wsgi_app(registry),
            server_class=_server_class(family),
            handler_class=_handler_class(),
        )
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = "Choose another: --port 0 takes a free one, --host names an address of this machine."
        raise ServingFailure(
            f"Cannot listen ({reason})", where=f"{host}:{port}", hint=hint
        ) from None


def address_of(server: WSGIServer) -> str:
    """Give the URL that a server answers at."""
    host, port = server.server_address[:2]
    name = f"[{host!s}]" if ":" in str(host) else str(host)
    return f"http://{name}:{port}/metrics"


def _registry() -> Any:
    try:
        from prometheus_client import CollectorRegistry
    except ImportError:
        hint = "Install it: python -m pip install 'evaltrace[metrics]'"
        raise MissingPackage("Metrics need the package prometheus-client", hint=hint) from None
    return CollectorRegistry()


def _resolved(host: str, port: int) -> Any:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]


def _server_class(family: int) -> type[WSGIServer]:
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIServer

    class MetricsServer(ThreadingMixIn, WSGIServer):
        """One thread a request, so that a slow reader keeps nobody waiting."""

        address_family = family
        daemon_threads = True

    return MetricsServer


def _handler_class() -> Any:
    from wsgiref.simple_server import WSGIRequestHandler

    class QuietHandler(WSGIRequestHandler):
        """Writes no line for each request, and waits for nobody forever."""

        timeout = _PATIENCE_S

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    return QuietHandler
