"""The tables of a store, and the numbered steps from each version of them to the next.

An event's key is its session's key and its number in the session (`session << 32 | seq`), so
that the events of a session lie together, in the store and in the search index; there, number
0 is the session itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from evaltrace.store.header import APPLICATION_ID

_TABLES = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE sessions (
  key INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  task TEXT NOT NULL,
  task_id TEXT,
  kind TEXT NOT NULL,
  status TEXT NOT NULL,
  agent TEXT,
  model TEXT,
  arm TEXT,
  job TEXT,
  attempt INTEGER,
  intent TEXT,
  started_at TEXT,
  completed_at TEXT,
  duration_s REAL,
  reward REAL,
  error TEXT,
  cause TEXT,
  total_events INTEGER NOT NULL DEFAULT 0,
  total_errors INTEGER NOT NULL DEFAULT 0,
  total_tokens INTEGER,
  total_cost_usd REAL,
  input_tokens INTEGER,
  output_tokens INTEGER,
  cache_creation_tokens INTEGER,
  cache_read_tokens INTEGER,
  started_us INTEGER,
  completed_us INTEGER,
  live INTEGER NOT NULL,
  has_events INTEGER NOT NULL
);
CREATE INDEX sessions_by_time ON sessions (started_us, key);
CREATE INDEX sessions_by_arm ON sessions (arm, status);
CREATE INDEX sessions_by_status ON sessions (status, started_us);
CREATE INDEX sessions_by_kind ON sessions (kind, started_us);
CREATE INDEX sessions_by_task ON sessions (task, started_us);

CREATE TABLE documents (
  session_key INTEGER PRIMARY KEY REFERENCES sessions (key) ON DELETE CASCADE,
  document TEXT NOT NULL,
  exact BLOB
);

CREATE TABLE events (
  key INTEGER PRIMARY KEY,
  session_key INTEGER NOT NULL REFERENCES sessions (key) ON DELETE CASCADE,
  id TEXT NOT NULL,
  type TEXT NOT NULL,
  parent_id TEXT,
  name TEXT,
  status TEXT,
  timestamp TEXT,
  duration_ms REAL,
  role TEXT,
  text TEXT,
  reasoning TEXT,
  raw_input TEXT,
  input_is_json INTEGER,
  raw_output TEXT,
  error TEXT,
  input_tokens INTEGER,
  output_tokens INTEGER,
  cache_creation_tokens INTEGER,
  cache_read_tokens INTEGER,
  model TEXT,
  provider TEXT,
  cost_usd REAL,
  data TEXT,
  at_us INTEGER,
  is_error INTEGER NOT NULL,
  exact BLOB
);
CREATE INDEX events_by_id ON events (session_key, id);
CREATE INDEX events_by_parent ON events (session_key, parent_id);
CREATE INDEX events_by_duration ON events (duration_ms) WHERE duration_ms IS NOT NULL;
CREATE INDEX events_by_type ON events (type);
CREATE INDEX events_by_time ON events (at_us) WHERE at_us IS NOT NULL;
CREATE INDEX events_that_failed ON events (is_error) WHERE is_error = 1;

CREATE TABLE totals (
  session_key INTEGER NOT NULL REFERENCES sessions (key) ON DELETE CASCADE,
  type TEXT NOT NULL,
  status TEXT NOT NULL,
  events INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  duration_ms REAL,
  input_tokens INTEGER,
  output_tokens INTEGER,
  cache_creation_tokens INTEGER,
  cache_read_tokens INTEGER,
  cost_usd REAL,
  PRIMARY KEY (session_key, type, status)
) WITHOUT ROWID;

CREATE VIEW runs AS
SELECT id, task, agent, model, status, reward, started_at, completed_at, duration_s, total_events,
  total_errors, total_tokens, total_cost_usd, kind, arm, job, attempt, intent, task_id, error, key
FROM sessions;

CREATE VIEW event_list AS
SELECT s.id AS session_id, e.key & 4294967295 AS seq, e.id, e.type, e.name, e.status, e.timestamp,
  e.duration_ms, e.parent_id, e.role, e.text, e.reasoning, e.error, e.data, e.input_tokens,
  e.output_tokens, e.cache_creation_tokens, e.cache_read_tokens, e.model, e.provider, e.cost_usd,
  e.raw_input, e.raw_output, e.key
FROM events AS e JOIN sessions AS s ON s.key = e.session_key;

CREATE VIEW failures AS
SELECT id, task, agent, model, status, reward, error, cause, started_at, duration_s, kind, arm, job,
  key
FROM sessions WHERE status IN ('fail', 'partial', 'error', 'cancelled');

CREATE VIEW tool_calls AS
SELECT s.id AS session_id, s.task, s.arm, e.name AS tool, count(*) AS calls,
  sum(e.is_error) AS errors, sum(e.duration_ms) AS duration_ms
FROM events AS e JOIN sessions AS s ON s.key = e.session_key
WHERE e.type IN ('tool_call', 'tool_called')
GROUP BY s.key, e.name;
"""

SEARCH_TABLE = (
    "CREATE VIRTUAL TABLE texts USING fts5"
    "(text, content='', tokenize='unicode61 remove_diacritics 2')"
)

WORDS_TABLE = "CREATE VIRTUAL TABLE words USING fts5vocab(texts, row)"
"""The words of the search index; keeps nothing itself."""

Step = Callable[[sqlite3.Connection], None]


def _create(connection: sqlite3.Connection) -> None:
    """Create the tables of version 1; without FTS5 in this SQLite, no search index."""
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            connection.execute(statement)
    try:
        connection.execute(SEARCH_TABLE)
        connection.execute(WORDS_TABLE)
    except sqlite3.OperationalError as error:
        if "no such module" not in str(error):
            raise
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


STEPS: tuple[Step, ...] = (_create,)
"""Step N makes version N + 1 out of version N; a step that was released never changes."""

VERSION = len(STEPS)


def migrate(connection: sqlite3.Connection, steps: Sequence[Step] = STEPS) -> None:
    """Take a store to the newest version, within the transaction that is open.

    Another program may have done so meanwhile: then nothing is left to do.
    """
    [found] = connection.execute("PRAGMA user_version").fetchone()
    for number in range(found, len(steps)):
        steps[number](connection)
        connection.execute(f"PRAGMA user_version = {number + 1}")
