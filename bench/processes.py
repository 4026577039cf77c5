"""What processes cost: CPU time and memory of process trees, read from /proc (Linux)."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_by_role(trees: Mapping[str, int]) -> dict[str, float]:
    """Return seconds of CPU by role, of the trees that are rooted at these process ids.

    A tree counts for its name, and a Python service in it (`-m services.queue`) for its own.
    What ended meanwhile is in its parent's account of reaped children.
    """
    spent: dict[str, float] = defaultdict(float)
    for name, role, pid in _roles(trees):
        spent[role or name] += _cpu_s(pid)
    return dict(spent)


def memory_by_role(trees: Mapping[str, int]) -> dict[str, int]:
    """Return bytes of memory by role, as `cpu_by_role`; what is shared counts in parts (PSS)."""
    held: dict[str, int] = defaultdict(int)
    for name, role, pid in _roles(trees):
        held[role or name] += _bytes_held(pid)
    return dict(held)


def spent_between(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Return what was spent between two looks, by role, the most first."""
    spent = {role: after[role] - before.get(role, 0.0) for role in after}
    return dict(sorted(spent.items(), key=lambda item: -item[1]))


def _roles(trees: Mapping[str, int]) -> Iterator[tuple[str, str, int]]:
    children = _children()
    for name, root in trees.items():
        waiting = [(root, "")]
        while waiting:
            pid, above = waiting.pop()
            role = _service_of(pid) or above
            yield name, role, pid
            waiting += [(child, role) for child in children.get(pid, ())]


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := _stat(int(entry))):
            found[int(fields[1])].append(int(entry))
    return found


def _service_of(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    names = [word.decode() for word in words if word.startswith(b"services.")]
    return names[-1].split(".")[1] if names and names[-1] != "services.cli.launch" else ""


def _cpu_s(pid: int) -> float:
    fields = _stat(pid)
    # utime, stime, and those of children that were waited for: fields 14 to 17 of proc(5).
    return sum(int(value) for value in fields[11:15]) / _TICKS if fields else 0.0


def _bytes_held(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on; empty for a process that is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text[text.rindex(")") + 2 :].split()
