"""A receiver of spans within a test: real HTTP, on a port of its own."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import msgspec

from evaltrace.otlp.protobuf import from_protobuf

Answer = tuple[int, dict[str, str], bytes]


class Collector(ThreadingHTTPServer):
    """A receiver that keeps what it got, and answers from a list; 200 when that is empty."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Requests)
        self.answers: list[Answer] = []
        self.seen: list[tuple[str, Message, bytes]] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def received(self) -> list[Any]:
        """Decode what was accepted or not, in order."""
        return [
            msgspec.json.decode(gzip.decompress(body))
            if headers["Content-Type"] == "application/json"
            else from_protobuf(gzip.decompress(body))
            for _, headers, body in self.seen
        ]


class Requests(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, self.headers, body))
        ok: Answer = (200, {"Content-Type": "application/json"}, b"{}")
        status, headers, reply = self.server.answers.pop(0) if self.server.answers else ok
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def running() -> Iterator[Collector]:
    """Run a receiver for the length of the block."""
    with Collector() as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
