"""Redaction of whole traces: every field, and secrets that are spread over events."""

from __future__ import annotations

from base64 import b64encode
from random import Random
from typing import Any

import msgspec
import pytest

from evaltrace import trace as tr
from evaltrace.redact import Redactor, find_in_trace, redact_trace
from evaltrace.schema import violations
from planted_secrets import some
from traces import distinct_trace, minimal_trace

REDACTOR = Redactor(key=b"test")
TOKEN = "gh" + "p_" + some(Random(7), "aBcD3fGh1jK", 36)
KEPT = {"schema_version", "trace_id", "task_id", "status", "checksum", "digest", "id", "type",
        "parent_id", "started_at", "unit"}  # fmt: skip


def test_a_trace_without_secrets_is_given_back_as_it_is() -> None:
    trace = distinct_trace()
    assert redact_trace(REDACTOR, trace)[0] is trace


def with_token(value: Any, kept: frozenset[str] | set[str] = frozenset()) -> Any:
    """Put the token behind every text."""
    if isinstance(value, str):
        return f"{value} {TOKEN}"
    if isinstance(value, list):
        return [with_token(item, kept) for item in value]
    if isinstance(value, dict):
        return {
            name: item if name in kept else with_token(item, kept) for name, item in value.items()
        }
    return value


LITERALS = {"kind", "source", "clock", "change", "cause", "format", "state"}


def test_every_text_of_a_trace_is_redacted() -> None:
    plain = msgspec.to_builtins(distinct_trace())
    loaded = with_token(plain, KEPT | LITERALS)
    trace = msgspec.convert(loaded, tr.Trace)
    after, counts = redact_trace(REDACTOR, trace)
    text = msgspec.json.encode(after).decode()
    assert TOKEN not in text
    assert counts["github-token"] == msgspec.json.encode(trace).decode().count(TOKEN)
    assert violations(msgspec.to_builtins(after), "trace") == []
    assert list(find_in_trace(REDACTOR, after)) == []


def test_keys_of_dictionaries_are_texts_too() -> None:
    trace = minimal_trace(context={"a": {f"use {TOKEN}": 1}})
    after, counts = redact_trace(REDACTOR, trace)
    assert counts == {"github-token": 1}
    assert TOKEN not in str(after.context)


def test_what_names_a_trace_is_left() -> None:
    event = tr.Event(id=TOKEN, type="message", parent_id=TOKEN, text=TOKEN)
    trace = minimal_trace(trace_id=TOKEN, task_id=TOKEN, events=[event])
    after, counts = redact_trace(REDACTOR, trace)
    assert (after.trace_id, after.task_id, after.events[0].id) == (TOKEN, TOKEN, TOKEN)  # type: ignore[index]
    assert counts == {"github-token": 1}


def test_names_count_in_dictionaries_and_lists() -> None:
    trace = minimal_trace(
        context={
            "env": {"MY_TOKEN": "a1b2c3d4e5f6", "DB_PASSWORD": "hunter2x", "LEVEL": "a1b2c3d4e5f6"},
            "args": ["--api-key", "z9y8x7w6v5", "--level", "z9y8x7w6v5t"],
            "pairs": [{"name": "THE_SECRET", "value": "k1j2h3g4f5"}],
            "headers": {"authorization": "Bearer m1n2b3v4c5x6", "cookie": "sid=p0o9i8u7y6t5"},
            "max_tokens": 4000,
        }
    )
    after, counts = redact_trace(REDACTOR, trace)
    text = str(after.context)
    gone = ["hunter2x", "z9y8x7w6v5'", "k1j2h3g4f5", "m1n2b3v4c5x6", "p0o9i8u7y6t5"]
    assert [value for value in gone if value in text] == []
    assert after.context["env"]["LEVEL"] == "a1b2c3d4e5f6"  # type: ignore[index]
    assert after.context["args"][3] == "z9y8x7w6v5t"  # type: ignore[index]
    assert sum(counts.values()) == 6


@pytest.mark.parametrize("cut", [3, 9, 20, 33])
def test_a_token_over_two_events_is_removed_from_both(cut: int) -> None:
    texts = [f"so the key is {TOKEN[:cut]}", f"{TOKEN[cut:]} and that was it"]
    events = [tr.Event(id=str(n), type="message", text=text) for n, text in enumerate(texts)]
    after, counts = redact_trace(REDACTOR, minimal_trace(events=events))
    first, second = (event.text or "" for event in after.events or [])
    assert counts == {"github-token": 1}
    assert TOKEN[:cut] not in first
    assert TOKEN[cut:] not in second
    assert redact_trace(REDACTOR, after)[0] is after or not redact_trace(REDACTOR, after)[1]


def test_a_known_value_in_many_small_pieces_is_removed() -> None:
    known = "opaque/value+9:and:more"
    pieces = [known[start : start + 6] for start in range(0, len(known), 6)]
    events = [
        tr.Event(id=str(n), type="delta", output=text)
        for n, text in enumerate(["it was ", *pieces, " in the end"])
    ]
    trace = minimal_trace(events=events, test_output=f"whole: {known}")
    after, counts = redact_trace(REDACTOR.knowing([known]), trace)
    joined = "".join(event.output or "" for event in after.events or [])
    assert counts == {"known-value": 2}
    assert not any(piece in joined.replace("known-value", "") for piece in pieces)


def test_events_that_hold_whole_texts_are_not_joined() -> None:
    texts = ["the prefix is " + TOKEN[:4], "nothing-of-a-token here"]
    events = [tr.Event(id=str(n), type="message", text=text) for n, text in enumerate(texts)]
    assert redact_trace(REDACTOR, minimal_trace(events=events))[1] == {}


KEY = "sk-" + "ant-api03-" + some(Random(8), "aBcD3fGh1jK", 80)


@pytest.mark.parametrize("after", ["I will do that", "Done", "ok", "2 files", "set-up is next", ""])
def test_a_whole_token_does_not_go_on_with_a_word_of_the_next_event(after: str) -> None:
    events = [
        tr.Event(id=str(n), type="message", text=text)
        for n, text in enumerate([f"use {TOKEN}", after, "and so on"])
    ]
    changed, _ = redact_trace(REDACTOR, minimal_trace(events=events))
    marker = REDACTOR.places(TOKEN)[0].marker
    assert [event.text for event in changed.events or []] == [f"use {marker}", after, "and so on"]


def test_a_token_that_was_cut_where_it_could_end_is_removed_from_both() -> None:
    events = [
        tr.Event(id=str(n), type="message", text=text)
        for n, text in enumerate([f"use {KEY[:60]}", f"{KEY[60:]} now"])
    ]
    after, counts = redact_trace(REDACTOR, minimal_trace(events=events))
    assert counts == {"anthropic-key": 1}
    assert KEY[60:] not in str(after.events)


@pytest.mark.parametrize(("role", "removed"), [("assistant", False), (None, True), ("user", True)])
def test_what_two_roles_say_is_not_joined(role: str | None, removed: bool) -> None:
    texts = zip((TOKEN[:20], TOKEN[20:]), ("user", role), strict=True)
    events = [
        tr.Event(id=str(n), type="message", text=text, role=said)
        for n, (text, said) in enumerate(texts)
    ]
    after, _ = redact_trace(REDACTOR, minimal_trace(events=events))
    assert (TOKEN[20:] not in str(after.events)) is removed


def test_the_part_of_a_cut_token_is_removed_wherever_it_stands_again() -> None:
    events = [
        tr.Event(id=str(n), type="message", text=text)
        for n, text in enumerate([f"the key is {KEY[:40]}", f"{KEY[40:]} it is"])
    ]
    response = tr.AgentResponse(result=f"{KEY[40:]} it is")
    after, counts = redact_trace(REDACTOR, minimal_trace(events=events, agent_response=response))
    assert KEY[40:] not in msgspec.json.encode(after).decode()
    assert counts == {"anthropic-key": 1, "known-value": 1}
    assert redact_trace(REDACTOR, after)[1] == {}


def test_two_spellings_of_one_secret_stay_two_keys() -> None:
    coded = b64encode(TOKEN.encode()).decode().rstrip("=")
    values = {TOKEN: 1, coded: 2, "other": 3}
    after, counts = redact_trace(REDACTOR, minimal_trace(context=values))
    marker = REDACTOR.places(TOKEN)[0].marker
    assert after.context == {marker: 1, f"{marker} 2": 2, "other": 3}
    assert counts == {"github-token": 2}
    assert redact_trace(REDACTOR, after)[1] == {}


def test_a_token_behind_a_name_is_a_token() -> None:
    name = f"mcp__{TOKEN}__search"
    trace = minimal_trace(
        events=[tr.Event(id="1", type="tool", name=name)],
        tools=tr.Tools(calls=[tr.ToolCalls(name=name, kind="mcp", count=1)]),
        origin=tr.Origin(kind="harness", path=f"job/task__{TOKEN}"),
    )
    after, counts = redact_trace(REDACTOR, trace)
    assert TOKEN not in msgspec.json.encode(after).decode()
    assert counts == {"github-token": 3}


def test_findings_say_which_field_and_not_what() -> None:
    events = [tr.Event(id="1", type="t"), tr.Event(id="2", type="t", input={"q": [f"a {TOKEN}"]})]
    trace = minimal_trace(events=events, problems=[])
    (finding,) = find_in_trace(REDACTOR, trace)
    assert finding[:3] == ("t-1", "events[1].input.q[0]", "github-token")
    assert TOKEN not in str(finding)


def test_a_patch_keeps_its_lines() -> None:
    lines = ["--- a/x", "+++ b/x", "@@ -1,1 +1,2 @@", " same", f"+KEY = '{TOKEN}'", "-gone"]
    after, _ = redact_trace(REDACTOR, minimal_trace(code_changes="\n".join(lines) + "\n"))
    changed = (after.code_changes or "").splitlines()
    assert [line[:1] for line in changed] == [line[:1] for line in lines]
    assert [old == new for old, new in zip(lines, changed, strict=True)].count(False) == 1
