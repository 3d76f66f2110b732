"""What an audit shows of a configuration: no secret in any form, and settings as they are."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaltrace.compare.audit.values import HIDDEN, WIDTH, shown, shown_pair
from evaltrace.redact import RULES, Rule
from evaltrace.untrusted import one_line
from planted_secrets import planted

WIDE = 400
SECRET = "hunter2pw"


@pytest.mark.parametrize(
    "key",
    ["apiKey", "pwd", "db_pass", "passphrase", "bearer", "jwt", "session_id", "dsn",
     "connection_string", "webhook", "shared_key", "token_hash", "pass\x1b[0mword",
     "pass\u200bword"],
)  # fmt: skip
def test_what_stands_under_a_secret_name_is_hidden(key: str) -> None:
    assert shown("0f3a9c77", key) == HIDDEN
    assert "0f3a9c77" not in shown({"a": [{key: "0f3a9c77"}]}, "server")


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ({"db": SECRET}, "credentials"),
        ({"user": "ada", "value": SECRET}, "auth"),
        ([{"v": SECRET}], "tokens"),
        ([f"FOO={SECRET}"], "env"),
        ([{"name": "FOO", "value": SECRET}], "env"),
        ({"FOO": SECRET}, "extra_env"),
        ({"FOO": SECRET}, "environment"),
        ({"FOO": SECRET}, "dockerEnv"),
        ({"X-Me": SECRET}, "http_headers"),
        ([f"X-Me: {SECRET}"], "headers"),
        ([{"name": "API_TOKEN", "value": SECRET}], "settings"),
        ([["X-Api-Key", SECRET]], "settings"),
        (["--header", f"X-Me: {SECRET}"], "args"),
        (["-e", f"FOO={SECRET}"], "args"),
        (["--user", f"ada:{SECRET}"], "args"),
        (["--api-key", {"v": SECRET}], "args"),
        ({f"sk-ant-{SECRET}": 1}, "settings"),
    ],
)
def test_secrets_in_objects_and_lists_are_hidden(value: Any, key: str) -> None:
    assert SECRET not in shown(value, key, WIDE)


@pytest.mark.parametrize(
    "text",
    [
        f'run --token "{SECRET} two" now',
        f"run --password '{SECRET}'",
        f"Authorization: token {SECRET}",
        f"authorization: {SECRET[:3]} {SECRET}",
        f"Cookie: session={SECRET}",
        f"docker run -e FOO={SECRET} image",
        f"export DB_PASS={SECRET}",
        f"Server=x;Pwd={SECRET};",
        f"AccountName=a;AccountKey={SECRET}",
        f"curl -u ada:{SECRET} https://example.com",
        f"sshpass -p {SECRET} ssh host",
        f"mysql -u ada -p{SECRET} shop",
        f"machine example.com login ada password {SECRET}",
        f"postgres://ada:a/{SECRET}@db/x",
        f"postgres://ada:a@{SECRET}@db/x",
        f"https://example.com/cb?code={SECRET}",
        f"https://example.com/cb#jwt={SECRET}",
        f"password=${SECRET}",
        f"token=${{TOKEN:-{SECRET}}}",
        f"token=$2b$10${SECRET}",
        json.dumps({"token": f"two {SECRET}"}),
        json.dumps({"password": f"a,{SECRET}"}),
        json.dumps(json.dumps({"api_key": SECRET})),
        f"pass\u200bword={SECRET}",
    ],
)
def test_secrets_in_a_text_are_hidden(text: str) -> None:
    assert SECRET not in shown(text, "command", WIDE)
    assert SECRET not in shown([text], "args", WIDE)


@pytest.mark.parametrize(
    "secret",
    ["ya29.a0AfH6SMBabcdef", "xapp-1-A0123-abcdef", "0123456789abcdef01234567",
     "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"],
)  # fmt: skip
def test_what_looks_like_a_secret_is_hidden(secret: str) -> None:
    assert shown(secret, "note") == HIDDEN
    assert shown(f"use {secret} now", "note") == f"use {HIDDEN} now"


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (12345678, "token"),
        (12345678, "api_key"),
        (1234, "pin"),
    ],
)
def test_a_number_that_is_a_secret_is_hidden(value: int, key: str) -> None:
    assert shown(value, key) == HIDDEN


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("npx server --token ${TOKEN} -v", "command"),
        ('run --token "$TOKEN" -v', "command"),
        ("docker run -p 8080:80 image", "command"),
        ("https://example.com:8080/@scope/package?version=2", "url"),
        ("swebench/sweb.eval.x86_64.django_1776_django-11099:latest", "image"),
        ("vendor/claude-opus-4-1@20250805", "model"),
        ("the token is used for search", "note"),
        ("bypass permissions", "note"),
        ("max_tokens=8000", "note"),
    ],
)
def test_settings_are_shown_as_they_are(value: str, key: str) -> None:
    assert shown(value, key) == value


def test_the_end_of_a_long_secret_does_not_outlive_its_beginning() -> None:
    assert shown(f"--token {'a' * 5000} end", "command") == f"--token {HIDDEN}"


@pytest.mark.parametrize("key", ["note", "command"])
def test_what_redaction_finds_is_hidden(key: str) -> None:
    texts = planted()
    left = [
        item for item in texts if any(part in shown(item.text, key, 1 << 20) for part in item.gone)
    ]
    assert len(texts) > 1000
    assert left == []


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.prefixes], ids=lambda r: r.name)
def test_what_begins_as_a_token_does_is_hidden_however_it_goes_on(rule: Rule) -> None:
    beginnings = [prefix for prefix in rule.prefixes if prefix not in ("key-", "secret_")]
    for beginning in beginnings:
        assert shown(f"use {beginning}abcdefghijkl now", "note") == f"use {HIDDEN} now"


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=30),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
        ),
        max_leaves=12,
    ),
    st.text(max_size=12),
)
def test_any_value_is_one_short_printable_line(value: Any, key: str) -> None:
    text, other = shown_pair(value, value, key)
    assert len(text) <= WIDTH
    assert one_line(text, WIDTH) == text
    assert other.endswith("(another value)")


@pytest.mark.parametrize(
    "text",
    ["-" * 9999, "--" + "token" * 2000 + "!", '"' * 9999, "\\" * 9999, "a://" * 3000,
     "http://" + "a:@" * 3000, "--" + "a-" * 5000, "login a password " * 600, "aB1" * 3000],
)  # fmt: skip
def test_masking_takes_no_longer_for_texts_made_to_be_slow(text: str) -> None:
    started = time.process_time()
    shown([text] * 20, "args")
    shown("x", text)
    assert time.process_time() - started < 2
