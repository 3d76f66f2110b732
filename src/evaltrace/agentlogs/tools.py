"""Names of tools, as the agents write them, sorted into kinds."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from evaltrace.trace import Kind
from evaltrace.untrusted import clean

_MCP = re.compile(r"^mcp__(.+?)__(.+)$")

_NAMES: dict[Kind, str] = {
    "read": (
        "cat developer__analyze developer__image_processor developer__tree filemap goto list "
        "list_dir list_directory ls lstoolcall notebookread open read read_file read_many_files "
        "readfile readlintstoolcall readtoolcall scroll_down scroll_up tree view view_file "
        "view_image"
    ),
    "search": (
        "ckg codebase_search file_search find find_file glob glob_search globtoolcall grep "
        "grep_search greptoolcall lsp ripgrep search search_dir search_file search_file_content "
        "search_files semsearchtoolcall toolsearch"
    ),
    "edit": (
        "apply_patch create create_file delete_file deletetoolcall developer__edit "
        "developer__text_editor developer__write edit edit_file editor edittoolcall file_change "
        "insert json_edit_tool multiedit notebookedit patch replace search_replace str_replace "
        "str_replace_based_edit_tool str_replace_editor undo_edit write write_file writetoolcall"
    ),
    "shell": (
        "bash bash_command bashoutput command_execution container.exec developer__shell exec "
        "exec_command execute_bash execute_command execute_ipython_cell killbash killshell "
        "list_bash local_shell_call powershell read_bash run run_ipython run_shell_command "
        "run_terminal_cmd shell shelltoolcall stop_bash swe_agent_action taskoutput taskstop "
        "terminal write_bash write_stdin"
    ),
    "subagent": (
        "agent agentoutputtool close_agent codebase_investigator delegate delegate_to_agent "
        "delegate_to_browsing_agent delegate_to_codeact_agent dynamic_task__create_task "
        "list_agents read_agent send_input sendmessage spawn_agent subagent "
        "subagent__execute_task summon__delegate task tasktoolcall teamcreate wait_agent"
    ),
    "web": (
        "browse browse_interactive browser codesearch computercontroller__web_scrape fetch "
        "fetchtoolcall google_web_search web_fetch web_search web_search_call webfetch "
        "webfetchtoolcall websearch websearchtoolcall"
    ),
    "plan": (
        "createplantoolcall enterplanmode exit_plan_mode exitplanmode plan readtodostoolcall "
        "sequentialthinking task_tracker task_tracking taskcreate taskget tasklist taskupdate "
        "think todo__todo_read todo__todo_write todo_list todo_write todoread todotoolcall "
        "todowrite update_plan update_todo updatetodostoolcall write_todos"
    ),
    "mcp": (
        "call_tool_mcp list_mcp_resource_templates list_mcp_resources listmcpresourcestool "
        "read_mcp_resource readmcpresourcetool"
    ),
    "other": "askuserquestion finish mark_task_complete skill slashcommand",
}
"""Names of all agents, in lower case and in order."""

KINDS = {name: kind for kind, names in _NAMES.items() for name in names.split()}
"""Kind by lower-case tool name; what is not here is `other`."""


@lru_cache(maxsize=256)
def server_of(name: str) -> str | None:
    """Give the MCP server in a name like `mcp__server__tool`, None for other names."""
    match = _MCP.match(name)
    return match.group(1) if match else None


@lru_cache(maxsize=256)
def kind_of(name: str, server: str | None = None) -> Kind:
    """Sort a tool by its name; a tool of an MCP server is `mcp` whatever its name."""
    if server is not None or _MCP.match(name):
        return "mcp"
    return KINDS.get(name.lower(), "other")


@lru_cache(maxsize=256)
def tool_of(name: str) -> tuple[str, str | None, Kind]:
    """Give a tool's name, cleaned, its server and its kind."""
    server = server_of(name)
    return clean(name), server, kind_of(name, server)


_COMMAND_KEYS = ("command", "cmd", "keystrokes", "raw_action", "code", "script")


def command_of(value: Any) -> str | None:
    """Give what a shell tool was asked to run; a list of arguments is joined with blanks.

    The input of a call of another shape gives None.
    """
    if isinstance(value, str):
        return value
    given = value if isinstance(value, dict) else {}
    found = None
    for key in _COMMAND_KEYS:
        if given.get(key):
            found = given[key]
            break
    if isinstance(found, list):
        return " ".join(str(part) for part in found)
    return found if isinstance(found, str) else None
