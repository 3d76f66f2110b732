"""Secrets of a live run are replaced when it ends, or left where that was asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

from evaltrace import recording
from evaltrace.record import recover
from evaltrace.store import Store
from evaltrace.trace import Trace
from planted_secrets import ALNUM, some

TOKEN = "gh" + "p_" + some(Random(5), ALNUM, 36)


def test_the_file_the_store_and_what_is_given_back_have_no_secrets(tmp_path: Path) -> None:
    place = tmp_path / "runs.db"
    context = {"env": {"DB_PASSWORD": "hunter2x"}}
    with recording("coder", "fix", context, folder=tmp_path, store=place) as run:
        run.event("llm_call", output=f"use {TOKEN}")
    text = run.path.read_text()
    assert TOKEN not in text
    assert "hunter2x" not in text
    assert json.loads(text)["redaction"]["counts"] == {"github-token": 1, "secret-value": 1}
    assert run.trace is not None
    with Store(place) as store:
        assert list(store.read_all()) == [run.trace]
    assert TOKEN not in str(run.trace)


def test_a_secret_in_pieces_of_a_stream_goes_too(tmp_path: Path) -> None:
    with recording("coder", "fix", folder=tmp_path) as run:
        for piece in (TOKEN[:15], TOKEN[15:]):
            run.event("message", text=piece)
    assert TOKEN[15:] not in run.path.read_text()


def test_secrets_are_left_where_that_is_asked_for(tmp_path: Path) -> None:
    with recording("coder", "fix", folder=tmp_path, redact=False) as run:
        run.event("message", text=TOKEN)
    trace = json.loads(run.path.read_text())
    assert trace["redaction"] == {"state": "off", "rules": None, "counts": None}
    assert trace["events"][0]["text"] == TOKEN


KILLED = """
import os, sys
from evaltrace import recording
with recording("coder", "fix", folder=sys.argv[1], redact=sys.argv[3] == "on") as run:
    run.event("message", text=sys.argv[2])
    os._exit(1)
"""


def test_what_is_recovered_is_redacted_as_the_run_was_told(tmp_path: Path) -> None:
    for state in ("on", "off"):
        folder = tmp_path / state
        command = [sys.executable, "-c", KILLED, str(folder), TOKEN, state]
        subprocess.run(command, check=False, env=dict(os.environ))
        [trace] = recover(folder)
        assert isinstance(trace, Trace)
        assert trace.redaction is not None
        assert trace.redaction.state == state
        text = "".join(path.read_text() for path in folder.glob("trace_*.json"))
        assert (TOKEN in text) is (state == "off")
