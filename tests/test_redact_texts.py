"""Properties of redaction: once is enough, the order is all the same, JSON stays JSON."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from collections.abc import Iterator
from random import Random
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltrace.redact import MARKER, RULES, Redactor, Rule, known_values
from planted_secrets import planted, some

REDACTOR = Redactor(key=b"test")
TOKEN = "gh" + "p_" + some(Random(7), "aBcD3fGh1jK", 36)
OTHER = "gl" + "pat-" + some(Random(8), "aBcD3fGh1jK", 20)
PARTS = st.sampled_from([item.text for item in planted()[::17]])
JOINTS = st.sampled_from(
    ["", " ", "\n", "\\n", '"', "'", "=", ": ", "[redacted:jwt:00000000]", "]"]
)
TEXTS = st.lists(st.one_of(PARTS, JOINTS, st.text(max_size=12)), max_size=6).map("".join)


@given(TEXTS)
@settings(max_examples=150, deadline=None)
def test_redacting_again_changes_nothing(text: str) -> None:
    once, _ = REDACTOR.text(text)
    assert REDACTOR.text(once) == (once, Counter())


@given(TEXTS, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_rules_makes_no_difference(text: str, random: Random) -> None:
    shuffled = random.sample(RULES, len(RULES))
    assert Redactor(shuffled, key=b"test").text(text) == REDACTOR.text(text)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), PARTS, st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["a", "token", "password", "key"]), inner, max_size=3),
        inner.map(json.dumps),
    ),
    max_leaves=5,
)


@given(JSON)
@settings(max_examples=100, deadline=None)
def test_json_stays_json_of_the_same_shape(value: object) -> None:
    after, _ = REDACTOR.text(json.dumps(value))
    assert shape(json.loads(after)) == shape(value)


def shape(value: object) -> object:
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value)


@given(TEXTS)
@settings(max_examples=100, deadline=None)
def test_what_the_first_look_lets_go_has_nothing_to_find(text: str) -> None:
    if REDACTOR.is_clean(json.dumps(text)):
        assert REDACTOR.text(text)[0] == text


def unbounded(parsed: Any, inside: bool = False) -> Iterator[str]:
    """Name the repetitions of a pattern that make a search slow for some text."""
    for code, value in parsed:
        if str(code) in ("MAX_REPEAT", "MIN_REPEAT"):
            least, most, part = value
            if str(most) == "MAXREPEAT":
                yield f"{part} without a bound"
            # A few times, with a fixed mark before each: one way only.
            if inside and most > 3 and least != most:
                yield f"{part} within a repetition"
            yield from unbounded(part, inside or most > 3)
        elif str(code) == "SUBPATTERN":
            yield from unbounded(value[3], inside)
        elif str(code) == "BRANCH":
            for part in value[1]:
                yield from unbounded(part, inside)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_no_pattern_repeats_without_bound_or_within_a_repetition(rule: Rule) -> None:
    assert list(unbounded(_parser.parse(rule.pattern))) == []


def test_repetitions_without_bound_are_seen() -> None:
    assert len(list(unbounded(_parser.parse("(?:ab{1,9}){1,9}c+|d*")))) == 3


@pytest.mark.parametrize(
    "part",
    [
        "password = secret: token = api_key: key = a1",
        'password = "\\"\\"\\"',
        "\\" * 31 + '"',
        "sk-ant-a1 sk-a1 eyJ.eyJ. AIza1 xoxb-1 ",
        "-----BEGIN PRIVATE" + " KEY-----\n",
        "-----END PRIVATE" + " KEY-----\nAAAA\n",
        "aB3",
        "a" * 40 + "1-",
        "http://b:c1/",
        '{"token":"',
        "[redacted:jwt:00000000]",
        "a\n",
    ],
)
def test_texts_made_to_be_slow_come_to_an_end(part: str) -> None:
    # Where a pattern had two ways to match, these would take longer than anybody waits.
    text = f"token={part * (30_000 // len(part))}!"
    once, _ = REDACTOR.text(text)
    assert REDACTOR.text(once) == (once, Counter())
    assert once.count("\n") == text.count("\n")


def test_equal_secrets_have_equal_markers_and_others_have_others() -> None:
    text, counts = REDACTOR.text(f"{TOKEN} {OTHER}\nexport X_TOKEN={TOKEN}\n")
    first, other, again = MARKER.findall(text)
    assert first == again
    assert first != other
    assert counts == {"github-token": 2, "gitlab-token": 1}


def test_the_line_below_a_long_line_is_no_part_of_its_token() -> None:
    key = "sk-" + "ant-api03-" + some(Random(9), "aBcD3fGh1jK", 93) + "AA"
    text = f"ANTHROPIC_API_KEY={key}\nGITHUB_TOKEN={TOKEN}\nDEBUG=1\n"
    after, counts = REDACTOR.text(text)
    assert counts == {"anthropic-key": 1, "github-token": 1}
    assert [line.partition("=")[0] for line in after.splitlines()] == [
        "ANTHROPIC_API_KEY", "GITHUB_TOKEN", "DEBUG",
    ]  # fmt: skip
    assert REDACTOR.text(key)[0] in after


def test_another_key_gives_other_digests() -> None:
    assert Redactor(key=b"other").text(TOKEN)[0] != REDACTOR.text(TOKEN)[0]


def test_a_format_is_named_before_the_name_that_it_stands_behind() -> None:
    for text in (
        f"password={TOKEN}",
        f"Authorization: Bearer {TOKEN}",
        f"https://me:{TOKEN}@host/",
    ):
        assert REDACTOR.text(text)[1] == {"github-token": 1}


def test_a_redactor_survives_the_way_to_a_worker() -> None:
    redactor = REDACTOR.knowing(["a very own secret 1"])
    there = pickle.loads(pickle.dumps(redactor))
    assert there.text("a very own secret 1") == redactor.text("a very own secret 1")
    assert there.fingerprint == redactor.fingerprint == REDACTOR.fingerprint
    assert Redactor(key=b"other").fingerprint != REDACTOR.fingerprint
    assert Redactor(RULES[1:], key=b"test").fingerprint != REDACTOR.fingerprint


@pytest.mark.parametrize("size", [100, 5000, 40_000, 300_000])
def test_a_secret_is_found_wherever_it_stands_in_a_long_text(size: int) -> None:
    filler = "nothing to see on this line\n" * (size // 28)
    half = len(filler) // 2
    for text in (
        f"{TOKEN}\n{filler}",
        f"{filler[:half]} {TOKEN} {filler[half:]}",
        f"{filler} {TOKEN}",
    ):
        after, counts = REDACTOR.text(text)
        assert TOKEN not in after
        assert counts == {"github-token": 1}


def test_a_long_text_without_lines_is_looked_at_everywhere() -> None:
    words = "word " * 20_000
    for place in range(4000, 4200, 7):
        assert TOKEN not in REDACTOR.text(f"{words[:place]} {TOKEN} {words[place:]}")[0]


def test_escapes_before_a_token_do_not_hide_it() -> None:
    for before in ("\\n", "\\\\n", "\\t", "\\u0022", "%3D", "\x1b[1;31m", "=", "/", "→"):
        after, _ = REDACTOR.text(f"x{before}{TOKEN}")
        assert TOKEN not in after
        assert after.startswith(f"x{before}[")


def test_markers_are_left_alone_wherever_they_stand() -> None:
    marker = REDACTOR.text(TOKEN)[0]
    for text in (
        f"password: {marker}",
        f'{{"api_key": "{marker}"}}',
        f"TOKEN={marker}",
        f"a{marker}b",
    ):
        assert REDACTOR.text(text) == (text, Counter())


def test_a_made_up_marker_hides_no_secret_beside_it() -> None:
    after, _ = REDACTOR.text('token="[redacted:jwt:00000000]hunter2hunter3X9"')
    assert "hunter2hunter3X9" not in after


# ruff: noqa: E501 - settings as programs write them

SETTINGS = {
    ".mcp.json": {"mcpServers": {"s": {
        "env": {"PATH": "/usr/bin", "SOURCE_ENDPOINT": "https://example.com", "S_TOKEN": "q1w2-e3r4"},
        "headers": {"Authorization": "Bearer unusual words 77", "Accept": "application/json"},
        "args": ["--port", "8080", "--api-key", "plain4words"],
    }}},
    ".claude.json": {"customApiKeyResponses": {"approved": ["tail-of-a-key-0815x"]}, "theme": "dark"},
    "auth.json": {"tokens": {"access_token": "opaque/value+9", "account_id": "1234"}},
}  # fmt: skip


def test_secrets_of_configuration_files_are_known() -> None:
    files = [(name, json.dumps(value).encode()) for name, value in SETTINGS.items()]
    files.append(
        ("config.toml", b'[mcp_servers.a.env]\nA_TOKEN = "toml0secret"\nREGION = "eu-west"\n')
    )
    files.append((".env", b"export DB_PASSWORD=dot4env5file\nPORT=80\n"))
    assert known_values(files) == (
        "dot4env5file", "opaque/value+9", "plain4words", "q1w2-e3r4", "tail-of-a-key-0815x",
        "toml0secret", "unusual words 77",
    )  # fmt: skip


def test_settings_that_cannot_be_read_are_read_line_by_line() -> None:
    assert known_values([("config.toml", b'A_TOKEN = "toml0secret"\n[[[')]) == ("toml0secret",)
    assert known_values([(".mcp.json", b"\xff\xfe" + b"[" * 100_000)]) == ()


@pytest.mark.parametrize(
    "text",
    [
        "so opaque/value+9 it was",
        json.dumps(json.dumps({"a": 'opaque/value+9"'})),
        "?q=opaque%2Fvalue%2B9",
        "b3BhcXVlL3ZhbHVlKzk=",
        "eCBvcGFxdWUvdmFsdWUrOSB5",
        "opaque/va\nlue+9",
    ],
)
def test_known_values_are_removed_in_every_spelling(text: str) -> None:
    after, counts = REDACTOR.knowing(["opaque/value+9"]).text(text)
    assert counts == {"known-value": 1}
    assert "value" not in after.replace("known-value", "")
    assert REDACTOR.text(text)[1] == {}


def test_names_of_users_and_addresses_are_an_option() -> None:
    text = (
        "/home/ada/app, C:\\Users\\Ada\\app, /home/runner/x, ada@lovelace.org, git@github.com:a/b"
    )
    assert REDACTOR.text(text)[1] == {}
    after, counts = Redactor(key=b"test", personal=True).text(text)
    assert counts == {"home-user": 2, "email": 1}
    assert "ada" not in after.lower()
    assert "/home/runner/x" in after
    assert "git@github.com" in after
