"""What is meant to differ: which fields of a configuration belong to the treatment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from evaltrace.compare.audit.fields import Contrast, decoded
from evaltrace.compare.treatment.servers import spelled
from evaltrace.compare.treatment.treated import Treated, matches
from evaltrace.comparison import TreatmentKind

Part = Literal["all", "perhaps", "none"]

AGENT = "agent_config.agent."
MODEL = "agent_config.model"
SERVERS = f"{AGENT}mcp_servers."

_IDENTITY = {f"{AGENT}name", f"{AGENT}version", f"{AGENT}import_path"}
_SETTINGS = tuple(f"{AGENT}{part}" for part in ("kwargs.", "env.", "skills", "mcp_servers."))
_SEPARATORS = re.compile(r"[,\s]+")


@dataclass(frozen=True, slots=True)
class Meant:
    """The treatment as fields of a configuration show it; `servers` are spelled as in tools."""

    kind: TreatmentKind
    servers: frozenset[str] = frozenset()
    pattern: re.Pattern[str] | None = None

    def part_of(self, contrast: Contrast) -> Part:
        """Tell whether a difference is the treatment, may be part of it, or is another one."""
        name = contrast.field
        if name == MODEL:
            return "all" if self.kind == "model" else "none"
        if name in _IDENTITY and self.kind == "agent":
            return "all"
        if name.startswith(SERVERS) and spelled(name.removeprefix(SERVERS)) in self.servers:
            return "all"
        if name.startswith(_SETTINGS) and self.kind in ("agent", "config"):
            return "perhaps"
        if not name.startswith(AGENT):
            return "none"
        if self._only_its_tools(contrast):
            return "all"
        return "perhaps" if self._is_named(contrast) else "none"

    def _only_its_tools(self, contrast: Contrast) -> bool:
        """Tell whether lists of tools are the same but for those of the treated servers."""
        if not self.servers:
            return False
        before, after = (
            [self._without_tools(value) for value, _ in decoded(counts)]
            for counts in (contrast.baseline, contrast.treatment)
        )
        return before == after and len(before) == 1

    def _without_tools(self, value: Any) -> Any:
        if isinstance(value, str):
            value = [word for word in _SEPARATORS.split(value) if word]
        if not isinstance(value, list):
            return value
        kept = [item for item in value if not (isinstance(item, str) and self._is_tool(item))]
        return kept or None

    def _is_tool(self, name: str) -> bool:
        return any(
            name == f"mcp__{server}" or name.startswith(f"mcp__{server}__")
            for server in self.servers
        )

    def _is_named(self, contrast: Contrast) -> bool:
        """Tell whether the field or a value of it names the treatment."""
        if self.kind == "tool" and contrast.key == "skills":
            return True
        values = [*decoded(contrast.baseline), *decoded(contrast.treatment)]
        texts = [contrast.key, *(str(value) for value, _ in values if value is not None)]
        if self.pattern is not None:
            return any(matches(self.pattern, text) for text in texts)
        wanted = {server.lower() for server in self.servers}
        if self.kind == "mcp" and contrast.key == "import_path":
            wanted |= {"mcp"}
        return any(word in spelled(text).lower() for word in wanted for text in texts)


def to_meant(treated: Treated) -> Meant:
    """Turn the treatment into what fields are compared with."""
    return Meant(treated.record.kind, treated.servers, treated.pattern)
