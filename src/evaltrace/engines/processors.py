"""How many processors this process may use, the limits of its container counted in."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def processors() -> int:
    """Give the number of processors available to this process, at least 1.

    Counts the processors it may run on, the quota of its control groups (v1 and v2), and
    PYTHON_CPU_COUNT, which replaces what the machine has.
    """
    given = os.environ.get("PYTHON_CPU_COUNT", "")
    if given.isascii() and given.isdigit() and int(given) > 0:
        return int(given)
    known = [_allowed()]
    quota = cgroup_quota(_CGROUPS, _read(_OWN_CGROUP))
    if quota is not None:
        known.append(math.ceil(quota))
    return max(min(known), 1)


def _allowed() -> int:
    with suppress(AttributeError, OSError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cgroup_quota(root: Path, membership: str) -> float | None:
    """Give the least CPU quota, in processors, of the groups that hold a process.

    `membership` is the text of its /proc/PID/cgroup. None without a limit.
    """
    quotas: list[float] = []
    for line in membership.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            quotas += _quotas(root, path, _v2_quota)
        elif "cpu" in controllers.split(","):
            quotas += _quotas(root / "cpu", path, _v1_quota)
            quotas += _quotas(root / controllers, path, _v1_quota)
    return min(quotas, default=None)


def _quotas(root: Path, path: str, read: Callable[[Path], float | None]) -> list[float]:
    """Read the quotas of a group and of all above it; inside a container it is the root."""
    group = root / path.lstrip("/")
    folders = {root, group, *(above for above in group.parents if root in above.parents)}
    return [quota for folder in sorted(folders) if (quota := read(folder)) is not None]


def _v2_quota(folder: Path) -> float | None:
    return _ratio(*_read(folder / "cpu.max").split()[:2])


def _v1_quota(folder: Path) -> float | None:
    return _ratio(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _ratio(quota: str = "", period: str = "") -> float | None:
    try:
        amount, span = int(quota), int(period)
    except ValueError:  # no such file, or "max"
        return None
    return amount / span if amount > 0 and span > 0 else None


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError:
        return ""
