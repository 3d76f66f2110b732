"""Sending to a receiver: over real HTTP, to a server within the test."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from evaltrace.otlp import Receiver
from evaltrace.otlp.protobuf import RESPONSE, to_protobuf
from evaltrace.otlp.sending import SendFailure, traces_url
from otlp_collector import Collector, running
from otlp_spans import request, span

ONE = request(span(1), span(2, 1))
SECRET = "Bearer very-secret"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running() as server:
        yield server


def test_spans_arrive_as_compressed_json(collector: Collector) -> None:
    sent = Receiver(collector.endpoint, headers={"Authorization": SECRET}).send([ONE])
    [(path, headers, _)] = collector.seen
    assert path == "/v1/traces"
    assert headers["Authorization"] == SECRET
    assert headers["Content-Encoding"] == "gzip"
    assert collector.received() == [ONE]
    assert (sent.spans, sent.requests, sent.rejected) == (2, 1, 0)


def test_many_spans_go_in_batches(collector: Collector) -> None:
    many = request(*(span(number) for number in range(1, 1201)))
    sent = Receiver(collector.endpoint).send([many])
    sizes = [
        sum(len(group["scopeSpans"][0]["spans"]) for group in one["resourceSpans"])
        for one in collector.received()
    ]
    assert sizes == [512, 512, 176]
    assert (sent.spans, sent.requests) == (1200, 3)


def test_a_receiver_without_json_gets_protobuf(collector: Collector) -> None:
    collector.answers = [(415, {}, b"")]
    many = request(*(span(number) for number in range(1, 601)))
    sent = Receiver(collector.endpoint).send([many])
    kinds = [headers["Content-Type"].rpartition("/")[2] for _, headers, _ in collector.seen]
    assert kinds == ["json", "x-protobuf", "x-protobuf"]
    assert sent.spans == 600
    assert collector.received()[0] == collector.received()[1]


def test_an_encoding_that_was_asked_for_is_not_changed(collector: Collector) -> None:
    collector.answers = [(415, {}, b"")]
    with pytest.raises(SendFailure, match="415"):
        Receiver(collector.endpoint, encoding="json").send([ONE])
    assert len(collector.seen) == 1


def test_a_busy_receiver_is_asked_again_when_it_says(collector: Collector) -> None:
    collector.answers = [(429, {"Retry-After": "7"}, b""), (503, {}, b""), (503, {}, b"")]
    waits: list[float] = []
    sent = Receiver(collector.endpoint, sleep=waits.append).send([ONE])
    assert waits == [7.0, 2.0, 4.0]
    assert sent.spans == 2
    assert len(collector.seen) == 4


def test_waits_are_bounded_and_end(collector: Collector) -> None:
    collector.answers = [(503, {"Retry-After": "86400"}, b"")] * 9
    waits: list[float] = []
    with pytest.raises(SendFailure, match="503"):
        Receiver(collector.endpoint, sleep=waits.append).send([ONE])
    assert waits == [30.0] * 4


def test_a_refusal_is_not_repeated(collector: Collector) -> None:
    collector.answers = [(400, {}, b'{"message": "bad span"}')]
    with pytest.raises(SendFailure, match="bad span") as caught:
        Receiver(collector.endpoint).send([ONE])
    assert caught.value.where == f"{collector.endpoint}/v1/traces"
    assert len(collector.seen) == 1


def test_what_was_accepted_before_a_refusal_is_told(collector: Collector) -> None:
    collector.answers = [(200, {}, b""), (400, {}, b"")]
    many = request(*(span(number) for number in range(1, 601)))
    with pytest.raises(SendFailure) as caught:
        Receiver(collector.endpoint).send([many])
    assert "512 spans were accepted" in str(caught.value)


PARTIAL = {"partialSuccess": {"rejectedSpans": "1", "errorMessage": "too old"}}


@pytest.mark.parametrize(
    ("kind", "reply"),
    [
        ("application/json", msgspec.json.encode(PARTIAL)),
        ("application/x-protobuf", to_protobuf(PARTIAL, RESPONSE)),
    ],
)
def test_spans_that_were_left_out_are_told(kind: str, reply: bytes, collector: Collector) -> None:
    collector.answers = [(200, {"Content-Type": kind}, reply)]
    sent = Receiver(collector.endpoint).send([ONE])
    assert (sent.rejected, sent.messages) == (1, ["too old"])


@pytest.mark.parametrize(
    "reply", [b"", b"OK", b"[]", b'{"partialSuccess": {"rejectedSpans": "x"}}']
)
def test_an_odd_answer_is_no_failure(reply: bytes, collector: Collector) -> None:
    collector.answers = [(200, {"Content-Type": "application/json"}, reply)]
    assert Receiver(collector.endpoint).send([ONE]).rejected == 0


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(code: int, collector: Collector) -> None:
    with running() as other:
        collector.answers = [(code, {"Location": f"{other.endpoint}/v1/traces"}, b"")]
        with pytest.raises(SendFailure, match="redirects"):
            Receiver(collector.endpoint, headers={"Authorization": SECRET}).send([ONE])
        assert other.seen == []


def test_credentials_are_never_shown(collector: Collector) -> None:
    endpoint = collector.endpoint.replace("://", "://ada:very-secret@")
    collector.answers = [(401, {}, b"")]
    with pytest.raises(SendFailure) as caught:
        Receiver(endpoint, headers={"X-Key": SECRET}).send([ONE])
    assert "very-secret" not in str(caught.value)
    assert "credentials" in str(caught.value)
    assert collector.seen[0][1]["Authorization"] == "Basic YWRhOnZlcnktc2VjcmV0"


def test_a_receiver_that_does_not_run_is_an_error() -> None:
    with Collector() as gone:
        endpoint = gone.endpoint
    waits: list[float] = []
    with pytest.raises(SendFailure, match="cannot reach"):
        Receiver(endpoint, sleep=waits.append).send([ONE])
    assert waits == [1.0, 2.0]


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://h:4318", "http://h:4318/v1/traces"),
        ("http://h:4318/", "http://h:4318/v1/traces"),
        ("http://h/v1/traces", "http://h/v1/traces"),
        ("https://h/api/otel", "https://h/api/otel/v1/traces"),
        ("https://u:p@h/?a=1", "https://h/v1/traces?a=1"),
    ],
)
def test_the_path_is_added_where_it_is_missing(endpoint: str, url: str) -> None:
    assert traces_url(endpoint)[0] == url


@pytest.mark.parametrize(
    "endpoint",
    [
        *("", "h:4318", "file:///etc/x", "http://", "http://h:x", "http://[::1", "http://h/é"),
        *("http://h/a b", "http://a..b", "http://h\r\nX: y"),
    ],
)
def test_what_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(SendFailure, match="no address"):
        traces_url(endpoint)


@pytest.mark.parametrize(
    "endpoint", ["ada:secret@h:1", "http://ada:se/cret@h", "http://ada:se#cret@h", "http://a:s@[h"]
)
def test_what_is_no_address_is_told_without_its_password(endpoint: str) -> None:
    with pytest.raises(SendFailure, match="no address") as caught:
        traces_url(endpoint)
    assert "se" not in (caught.value.where or "")
    assert "ada" not in (caught.value.where or "")


def test_what_an_address_asks_for_is_sent_and_not_shown(collector: Collector) -> None:
    receiver = Receiver(f"{collector.endpoint}?token=very-secret")
    receiver.send([ONE])
    assert collector.seen[0][0] == "/v1/traces?token=very-secret"
    assert receiver.url == f"{collector.endpoint}/v1/traces"


@pytest.mark.parametrize(
    ("name", "value"),
    [("X-A", "s\u20accret"), ("X-A", "s\rcret"), ("X-A", "s\ncret"), ("X A", "s"), ("", "s")],
)
def test_a_header_that_cannot_be_sent_is_refused_unseen(name: str, value: str) -> None:
    with pytest.raises(SendFailure, match="header") as caught:
        Receiver("http://h", headers={name: value})
    assert value not in f"{caught.value.what} {caught.value.where}".split()


def test_credentials_that_a_receiver_repeats_are_crossed_out(collector: Collector) -> None:
    collector.answers = [(401, {}, b'{"message": "who is very-secret?"}')]
    with pytest.raises(SendFailure) as caught:
        Receiver(collector.endpoint, headers={"Authorization": SECRET}).send([ONE])
    assert "who is ***?" in str(caught.value)


@pytest.mark.parametrize("asked", ["nan", "soon", "-5", "Mon, 01 Jan 0001 00:00:00 -0000"])
def test_an_odd_time_to_wait_is_not_followed(asked: str, collector: Collector) -> None:
    collector.answers = [(429, {"Retry-After": asked}, b"")]
    waits: list[float] = []
    Receiver(collector.endpoint, sleep=waits.append).send([ONE])
    assert waits == [1.0]


def test_a_receiver_that_goes_away_after_it_was_busy_is_an_error(collector: Collector) -> None:
    collector.answers = [(503, {}, b"")] * 3

    def leave(_: float) -> None:
        if len(collector.seen) == 3:
            collector.socket.close()

    with pytest.raises(SendFailure, match="cannot reach"):
        Receiver(collector.endpoint, sleep=leave).send([ONE])


def test_json_may_be_refused_at_the_last_attempt(collector: Collector) -> None:
    collector.answers = [*([(503, {}, b"")] * 4), (415, {}, b"")]
    assert Receiver(collector.endpoint, sleep=lambda _: None).send([ONE]).spans == 2


def test_an_answer_nested_without_end_is_no_crash(collector: Collector) -> None:
    kind = {"Content-Type": "application/json"}
    collector.answers = [(code, kind, b"[" * 60_000) for code in (200, 400)]
    assert Receiver(collector.endpoint).send([ONE]).rejected == 0
    with pytest.raises(SendFailure, match="400"):
        Receiver(collector.endpoint).send([ONE])


def test_a_redirect_to_no_address_is_told(collector: Collector) -> None:
    collector.answers = [(301, {"Location": "http://["}, b"")]
    with pytest.raises(SendFailure, match="redirects"):
        Receiver(collector.endpoint).send([ONE])


def test_no_more_spans_are_left_out_than_were_sent(collector: Collector) -> None:
    for told, counted in (("-5", 0), ("999999999999999999999", 2)):
        reply = b'{"partialSuccess": {"rejectedSpans": "%s"}}' % told.encode()
        collector.answers = [(200, {"Content-Type": "application/json"}, reply)]
        assert Receiver(collector.endpoint).send([ONE]).rejected == counted
