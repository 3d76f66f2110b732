"""The quick look: what it lets go has no secret, and few texts without one are held up."""

from __future__ import annotations

import json
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregated import CORPUS
from evaltrace.redact import RULES, Redactor, redact_trace
from evaltrace.redact.encoded import find_known
from evaltrace.redact.halves import NOTED, is_noted
from evaltrace.redact.sieve import to_ascii
from evaltrace.redact.spans import find_spans
from evaltrace.trace import Event
from planted_secrets import innocents, planted, some
from traces import minimal_trace

REDACTOR = Redactor(key=b"test")
RANDOM = Random(11)
TOKEN = "gh" + "p_" + some(RANDOM, "aBcD3fGh1jK", 36)
PASSWORD = some(RANDOM, "aBcD3fGh1jK", 20) + "7xY"


def as_trace(text: str) -> bytes:
    return msgspec.json.encode({"output": f"before\n{text}"})


@pytest.mark.parametrize("seed", [2, 3])
def test_no_find_of_a_rule_is_let_go(seed: int) -> None:
    texts = [item.text for item in planted(seed=seed)]
    held = [text for text in texts if find_spans(text, RULES)]
    assert len(held) > 1000
    assert [text for text in held if REDACTOR.is_clean(text)] == []
    assert [text for text in held if REDACTOR.is_clean(as_trace(text))] == []


PARTS_OF_NOTES = ["\n[... ", "12 characters", " ", "cut", " cut", "...", " ...]", " cut ...]", "é"]


@given(st.lists(st.sampled_from(PARTS_OF_NOTES), max_size=8).map("".join))
def test_a_note_of_a_cut_is_seen_wherever_it_stands(text: str) -> None:
    assert is_noted(to_ascii(text)) == is_noted(to_ascii(text.encode())) == (NOTED in text)


BYTES = st.sampled_from(
    [b"", b"x", b" ", "é".encode(), "\u212a".encode(), b"\x80", b"\xe2", b"\xff"]
)


@given(BYTES, BYTES, st.sampled_from(["cased-Kx9s-value-77", "ünï-cased-value-77"]))
def test_no_known_value_is_let_go_beside_bytes_that_are_no_text(
    before: bytes, after: bytes, value: str
) -> None:
    text = before + value.encode() + after
    knowing = REDACTOR.knowing([value])
    assert list(find_known(text.decode("utf-8", "replace"), knowing.known))
    assert not knowing.is_clean(text)
    assert knowing.is_clean(before + value[:5].encode() + after)


NAMES = ["password", "DB_PASS", "api_key", "clientSecret", "--token", "jwt", "to\u212aen"]
WEAK_NAMES = ["session", "SIGNING-KEY", "key", "salt_2", "authorization", "Bearer"]
SIGNS = st.sampled_from(
    ["=", ": ", " = ", ":", "=>", " := ", ": str = ", "='", '": "', "' : '", '\\": \\"', " ", "=`"]
)
LETTERS = "abcxyzABCXYZ012789+"
VALUES = st.one_of(
    st.tuples(st.sampled_from(NAMES), st.text(alphabet=LETTERS, min_size=4, max_size=40)),
    st.tuples(st.sampled_from(WEAK_NAMES), st.text(alphabet=LETTERS, min_size=16, max_size=40)),
)
AROUND = st.sampled_from(["", "\n", "\t", " ", '"', "my_", "é", ",", ";", ")", "(", "\\", "'"])


@given(AROUND, SIGNS, VALUES, AROUND)
@settings(max_examples=200, deadline=None)
def test_no_value_behind_a_name_is_let_go(
    before: str, sign: str, value: tuple[str, str], after: str
) -> None:
    text = f"{before}{sign.join(value)}{after}"
    if find_spans(text, RULES):
        assert not REDACTOR.is_clean(text)
        assert not REDACTOR.is_clean(as_trace(text))


def test_a_short_random_value_is_not_let_go() -> None:
    befores = ("session = ", "?key=", "key= ", "Authorization:\n\n", '"salt":"')
    texts = [
        f"{before}{start}{some(Random(length), 'aBcD3fGh1jKqRs7', length)}"
        for before in befores
        for start in ("", "+", "#x", "=")
        for length in (16, 17, 18, 19, 20, 33)
    ]
    held = [text for text in (*texts, *(f'{text}"' for text in texts)) if find_spans(text, RULES)]
    assert {before for before in befores if any(text.startswith(before) for text in held)} == {
        *befores
    }
    assert [text for text in held if REDACTOR.is_clean(text)] == []
    assert [text for text in held if REDACTOR.is_clean(as_trace(text))] == []


@pytest.mark.parametrize(
    "text",
    [
        "the tests still pass:",
        "      password: admin.password,\n      role: 'user',",
        "    jwt = response.accessToken;\n",
        "headers['Cookie'] = `app-jwt=${given.jwt}`;",
        "postgresql://postgres:postgres@localhost:5432/app",
        '"ANTHROPIC_API_KEY":"${ANTHROPIC_API_KEY}"',
        "obj[key] = this.adapter.checkId(obj[key]);",
        'os.getenv("JWT_SECRET_KEY", "<the key>")',
        "toolu_01PR4XvxZ4RxuMeyJjNU3Cup.x",
    ],
)
def test_code_that_only_names_secrets_is_let_go(text: str) -> None:
    assert REDACTOR.is_clean(msgspec.json.encode({"text": text, "usage": {"input_tokens": 5}}))


def test_most_innocent_texts_are_let_go() -> None:
    texts = innocents()
    assert sum(map(REDACTOR.is_clean, texts)) > len(texts) * 0.85


@pytest.mark.parametrize(
    "text",
    [
        f"GITHUB_TOKEN={TOKEN}\nDEBUG=1",
        f"proxy: http://agent:{PASSWORD}@proxy:8080",
        f"Authorization: Bearer {PASSWORD}",
        f"GET /blob?sig={PASSWORD}&x=1",
    ],
)
def test_what_was_redacted_is_let_go(text: str) -> None:
    assert not REDACTOR.is_clean(as_trace(text))
    assert REDACTOR.is_clean(as_trace(REDACTOR.text(text)[0]))


@pytest.mark.parametrize("name", ["Authorization: Bearer", "session_key =", "pass ="])
def test_a_name_at_the_start_of_a_line_is_seen_in_json(name: str) -> None:
    trace = minimal_trace(task_instruction=f"first\n{name} {PASSWORD}")
    after, counts = redact_trace(REDACTOR, trace)
    assert sum(counts.values()) == 1
    assert PASSWORD not in str(after.task_instruction)


@pytest.mark.parametrize("size", [10, 5000])
@pytest.mark.parametrize("cut", [2, 9, 30])
def test_a_token_in_two_events_is_found_at_the_edges_of_long_ones(size: int, cut: int) -> None:
    texts = [f"{'word ' * size}{TOKEN[:cut]}", f"{TOKEN[cut:]}{' word' * size}"]
    events = [Event(id=str(n), type="message", text=text) for n, text in enumerate(texts)]
    after, counts = redact_trace(REDACTOR, minimal_trace(events=events))
    assert counts == {"github-token": 1}
    assert not any(part in str(after.events) for part in (TOKEN[:cut] + "'", TOKEN[cut:]))


@given(st.text())
def test_texts_are_looked_at_in_ascii_of_the_same_length(text: str) -> None:
    plain = to_ascii(text)
    assert plain.isascii()
    assert [a for a, b in zip(plain, text, strict=True) if b.isascii()] == [
        b for b in text if b.isascii()
    ]
    assert plain == to_ascii(text.encode("utf-8", "surrogatepass"))


@pytest.mark.skipif(not CORPUS.is_dir(), reason="needs the corpus of real job directories")
def test_what_is_let_go_of_real_logs_has_no_find() -> None:
    files = sorted(CORPUS.glob("harbor-states/*/*/*/*.json"))[:60]
    texts = [path.read_text("utf-8", "replace") for path in files]
    clean = [text for text in texts if REDACTOR.is_clean(text)]
    assert clean
    assert [text[:80] for text in clean if REDACTOR.text(json.dumps(text))[1]] == []
