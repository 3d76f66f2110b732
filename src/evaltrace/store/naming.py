"""Which sessions and which events a name stands for, and what events name that is not there."""

from __future__ import annotations

import json
import sqlite3

from evaltrace.untrusted import clean

_NEXT = chr(0x10FFFF)

_MOST_PARENTS = 20_000
"""Parents that are looked for among the events of a session, unless all are asked for."""


def keys_named(connection: sqlite3.Connection, name: str) -> list[int]:
    """List the sessions that a name stands for, or a pattern with * and ?, the latest first.

    It may be an id, a task id, or a task's name, with its organisation and a slash or without.
    """
    name = clean(name)
    is_pattern = any(sign in name for sign in "*?[")
    test = "GLOB" if is_pattern else "="
    wanted = name.replace("[!", "[^") if is_pattern else name
    tests = [f"{column} {test} :wanted" for column in ("id", "task_id", "task")]
    if is_pattern or "/" not in name:
        tests.append(f"(task GLOB '*/*' AND {_LAST_PART} {test} :wanted)")
    if "/" in name:
        # Only the document knows the organisation; of a name, the last part leaves few to read.
        tests.append(f"(:last IN ('', task) AND {_WITH_ORGANISATION} {test} :wanted)")
    rows = connection.execute(
        f"SELECT key FROM sessions WHERE {' OR '.join(tests)} ORDER BY started_us DESC, key DESC",
        {"wanted": wanted, "last": "" if is_pattern else name.rpartition("/")[2]},
    )
    return [key for (key,) in rows]


_LAST_PART = "substr(task, length(rtrim(task, replace(task, '/', ''))) + 1)"

_WITH_ORGANISATION = (
    "(SELECT json_extract(document, '$.task.org') FROM documents WHERE session_key = key)"
    " || '/' || task"
)


def ids_from(connection: sqlite3.Connection, key: int, beginning: str, limit: int) -> list[str]:
    """List ids of a session's events that begin like a text."""
    beginning = clean(beginning)
    rows = connection.execute(
        "SELECT DISTINCT id FROM events WHERE session_key = ? AND id >= ? AND id < ?"
        " ORDER BY id LIMIT ?",
        (key, beginning, beginning + _NEXT, limit),
    )
    return [event_id for (event_id,) in rows]


def missing_parents(
    connection: sqlite3.Connection, key: int, limit: int, thorough: bool
) -> tuple[list[str], bool]:
    """List parents that events of a session name and that are not among them, in their order.

    Also tell whether these are all: of many parents only the first are looked for, unless
    `thorough`.
    """
    # From one parent to the next by the index: there are far fewer of them than events.
    [number, found] = connection.execute(
        "WITH RECURSIVE named (id) AS ("
        " SELECT min(parent_id) FROM events WHERE session_key = :key AND parent_id IS NOT NULL"
        " UNION ALL SELECT (SELECT min(parent_id) FROM events"
        "  WHERE session_key = :key AND parent_id > named.id)"
        " FROM named WHERE named.id IS NOT NULL LIMIT :most)"
        " SELECT count(*), json_group_array(id) FILTER (WHERE NOT EXISTS"
        "  (SELECT 1 FROM events WHERE session_key = :key AND events.id = named.id))"
        " FROM named WHERE id IS NOT NULL",
        {"key": key, "most": -1 if thorough else _MOST_PARENTS},
    ).fetchone()
    parents: list[str] = json.loads(found)
    is_whole = len(parents) <= limit and (thorough or number < _MOST_PARENTS)
    return parents[:limit], is_whole
