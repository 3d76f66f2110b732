"""What distance costs: jobs read from an S3 server on this machine that answers late.

    python benchmarks/s3_latency.py FOLDER [--latency 0.04] [--reads 64] [--trials 200]

The server speaks as much S3 as reading needs: ListObjectsV2 (prefix, delimiter, start-after,
pages) and GET or HEAD with ranges. Nothing is checked, nothing can be written. FOLDER holds
job directories. Wall time includes the server's own, which has the same processors.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "jobs"
"""The one bucket: the folder that is served."""

_PAGE = 1000
_RANGE = re.compile(rb"^range:\s*bytes=(\d+)-(\d*)", re.I | re.M)
_TIME = "2026-01-01T00:00:00.000Z"
_HTTP_TIME = "Thu, 01 Jan 2026 00:00:00 GMT"


@dataclass(frozen=True, slots=True)
class LateServer:
    """A server in another process; `endpoint` is its URL."""

    endpoint: str
    asked: Connection

    def spent(self) -> float:
        """Give the seconds of the processor that it has used so far."""
        self.asked.send(None)
        return float(self.asked.recv())


@contextmanager
def late_server(folder: Path, latency: float = 0.04) -> Iterator[LateServer]:
    """Serve a folder as the bucket `jobs` in a process of its own.

    `latency` is in seconds, and passes before the first byte of each answer.
    """
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(folder, latency, theirs), daemon=True)
    process.start()
    try:
        yield LateServer(f"http://127.0.0.1:{ours.recv()}", ours)
    finally:
        process.terminate()
        process.join()


def environment(endpoint: str) -> dict[str, str]:
    """Give the variables with which a client finds the server."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_REGION": "us-east-1",
    }


def _serve(folder: Path, latency: float, told: Connection) -> None:
    asyncio.run(_serve_for_ever(folder, latency, told))


async def _serve_for_ever(folder: Path, latency: float, told: Connection) -> None:
    loop = asyncio.get_running_loop()
    objects = _Objects(folder)
    server = await loop.create_server(lambda: _Connection(objects, latency), "127.0.0.1", 0)
    told.send(server.sockets[0].getsockname()[1])

    def answer() -> None:
        try:
            told.recv()
        except EOFError:  # whoever started it has died
            loop.remove_reader(told.fileno())
            server.close()
            return
        told.send(time.process_time())

    loop.add_reader(told.fileno(), answer)
    await server.serve_forever()


class _Objects:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sizes = {
            str(path.relative_to(folder)): path.stat().st_size
            for path in folder.rglob("*")
            if path.is_file()
        }
        self.keys = sorted(self.sizes)

    def listing(self, query: dict[str, list[str]]) -> bytes:
        prefix = query.get("prefix", [""])[0]
        delimiter = query.get("delimiter", [""])[0]
        after = query.get("continuation-token", query.get("start-after", [""]))[0]
        rows: list[str] = []
        place = max(bisect_left(self.keys, prefix), bisect_right(self.keys, after))
        token = ""
        while place < len(self.keys) and self.keys[place].startswith(prefix):
            if len(rows) == _PAGE:
                token = f"<NextContinuationToken>{escape(after)}</NextContinuationToken>"
                break
            key = self.keys[place]
            stop = key.find(delimiter, len(prefix)) if delimiter else -1
            if stop >= 0:
                common = key[: stop + 1]
                after = common + "\U0010ffff"
                place = bisect_left(self.keys, after)
                rows.append(f"<CommonPrefixes><Prefix>{escape(common)}</Prefix></CommonPrefixes>")
                continue
            place, after = place + 1, key
            rows.append(
                f"<Contents><Key>{escape(key)}</Key><Size>{self.sizes[key]}</Size>"
                f"<LastModified>{_TIME}</LastModified><ETag>{_etag(key)}</ETag></Contents>"
            )
        more = "true" if token else "false"
        text = f"<ListBucketResult><IsTruncated>{more}</IsTruncated>{token}{''.join(rows)}"
        return f"{text}</ListBucketResult>".encode()


class _Connection(asyncio.Protocol):
    def __init__(self, objects: _Objects, latency: float) -> None:
        self.objects, self.latency = objects, latency
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            asyncio.get_running_loop().call_later(self.latency, self._answer, head)

    def _answer(self, head: bytes) -> None:
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        url = urlsplit(target)
        key = unquote(url.path).removeprefix(f"/{BUCKET}").removeprefix("/")
        if not key:
            self._send("200 OK", self.objects.listing(parse_qs(url.query)), "")
        elif key not in self.objects.sizes:
            self._send("404 Not Found", b"<Error><Code>NoSuchKey</Code></Error>", "")
        else:
            self._send_object(key, _RANGE.search(head), method == "HEAD")

    def _send_object(self, key: str, wanted: re.Match[bytes] | None, only_head: bool) -> None:
        size = self.objects.sizes[key]
        start = int(wanted[1]) if wanted else 0
        end = min(int(wanted[2] or size - 1) + 1 if wanted else size, size)
        extra = f"ETag: {_etag(key)}\r\nLast-Modified: {_HTTP_TIME}\r\n"
        if wanted:
            extra += f"Content-Range: bytes {start}-{end - 1}/{size}\r\n"
        if only_head:
            self._send("200 OK", b"", extra, length=size)
            return
        with (self.objects.folder / key).open("rb") as file:
            body = os.pread(file.fileno(), end - start, start)
        self._send("206 Partial Content" if wanted else "200 OK", body, extra)

    def _send(self, status: str, body: bytes, extra: str, length: int | None = None) -> None:
        size = len(body) if length is None else length
        head = f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n{extra}\r\n"
        self.transport.write(head.encode() + body)


def _etag(key: str) -> str:
    return f'"{blake2b(key.encode(), digest_size=16).hexdigest()}"'


class Measure(NamedTuple):
    """Milliseconds for each trial."""

    wall: float
    cpu: float


def measure(url: str, reads: int, most: int) -> dict[str, Measure]:
    """Plan the jobs below a URL and fetch trials of it, one process, no trial read."""
    from evaltrace.plan import plan_aggregation
    from evaltrace.remote import spool_plan

    with TemporaryDirectory() as folder:
        started = _clocks()
        spool = spool_plan(url, Path(folder), reads=reads)
        planned = _clocks()
        with spool.at_hand():
            trials = [entry.path for entry in plan_aggregation([spool.root]).entries]
        chosen = trials[:most]
        before = _clocks()
        fetched = sum(1 for _ in spool.parcel(chosen).fetch(reads=reads))
        after = _clocks()
    return {
        "plan": _each(started, planned, len(trials)),
        "fetch": _each(before, after, fetched),
    }


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _each(start: tuple[float, float], end: tuple[float, float], trials: int) -> Measure:
    return Measure(
        *(1000 * (late - early) / trials for early, late in zip(start, end, strict=True))
    )


def main() -> None:
    """Print medians, or serve a folder until interrupted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency", type=float, default=0.04, help="seconds")
    parser.add_argument("--reads", type=int, default=64, help="reads in flight")
    parser.add_argument("--trials", type=int, default=200, help="how many are fetched")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", action="store_true", help="only serve, print the variables")
    given = parser.parse_args()
    with late_server(given.folder, given.latency) as server:
        if given.serve:
            pairs = environment(server.endpoint).items()
            print(*(f"export {name}={value}" for name, value in pairs), sep="\n")
            input("Enter ends it.\n")
            return
        os.environ.update(environment(server.endpoint))
        rounds = [measure(f"s3://{BUCKET}", given.reads, given.trials) for _ in range(given.rounds)]
        spent = 1000 * server.spent() / given.rounds
    print(f"{given.latency * 1000:.0f} ms latency, {given.reads} reads in flight, ms per trial:")
    for name in rounds[0]:
        wall, cpu = (median(row[name][at] for row in rounds) for at in (0, 1))
        print(f"{name:6} wall {wall:6.2f}   CPU {cpu:6.2f}")
    print(f"the server used {spent:.0f} ms of the processor in each round")


if __name__ == "__main__":
    main()
