"""A real S3 server on this machine for tests: moto, over HTTP."""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

BUCKET = "evals"
"""A bucket that is there when the server starts."""

_NOT_OURS = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_SKIP_SIGNATURE", "AWS_ENDPOINT_URL_S3")


@contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """Run an empty S3 server; give the environment in which clients find it and are let in.

    The environment is set in this process meanwhile, so that its children have it too.
    """
    server = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    pytest.importorskip("obstore", reason="evaltrace[remote] is not installed")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in _NOT_OURS:
            patch.delenv(name, raising=False)
        for name, value in variables.items():
            patch.setenv(name, value)
        _forget_stores()
        try:
            client().create_bucket(Bucket=BUCKET)
            yield variables
        finally:
            _forget_stores()
            running.stop()


@contextmanager
def unreliable_server(objects: dict[str, bytes], failures: list[tuple[int, str]]) -> Iterator[str]:
    """Serve objects over HTTP; each path fails at first, as listed: status and S3's code.

    Gives the URL; what it has of S3 is GET and HEAD of the bucket `evals`.
    """
    left: dict[str, list[tuple[int, str]]] = {}

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            waiting = left.setdefault(path, list(failures))
            if waiting:
                status, code = waiting.pop(0)
                self._send(status, f"<Error><Code>{code}</Code></Error>".encode())
                return
            content = objects.get(path.removeprefix(f"/{BUCKET}/"))
            self._send(404 if content is None else 200, content or b"")

        do_HEAD = do_GET

        def _send(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.send_header("ETag", f'"{zlib.crc32(content)}"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def client():
    """Give a client of the server that is not evaltrace's: boto3."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=os.environ["AWS_ENDPOINT_URL"],
        region_name=os.environ["AWS_REGION"],
        # Not to compute checksums, nor to wait for a server that compares them.
        config=Config(request_checksum_calculation="when_required"),
    )


def upload(folder: Path, prefix: str, bucket: str = BUCKET) -> str:
    """Upload all files below a folder; give the URL that stands for the folder."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    put(bucket, {name: path.read_bytes() for name, path in files.items() if path.is_file()}, prefix)
    return f"s3://{bucket}/{prefix}".rstrip("/")


def put(bucket: str, objects: dict[str, bytes], prefix: str = "") -> None:
    """Upload some objects, in little time."""
    to = client()
    with ThreadPoolExecutor(4) as pool:
        for key, content in sorted(objects.items()):
            whole = "/".join(filter(None, [prefix, key]))
            pool.submit(to.put_object, Bucket=bucket, Key=whole, Body=content)


def keys(prefix: str = "", bucket: str = BUCKET) -> set[str]:
    """List what is in the bucket."""
    found = client().list_objects_v2(Bucket=bucket, Prefix=prefix)
    return {row["Key"] for row in found.get("Contents", ())}


def _forget_stores() -> None:
    from evaltrace.remote.opening import forget_stores

    forget_stores()
