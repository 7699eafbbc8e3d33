"""Whose a container is: labels that say which process on which boot of which machine made it, so that a sweep takes
only what a dead owner left."""

import os
import platform
import time
from pathlib import Path


def owner_labels() -> dict[str, str]:
    return {
        "org.corrigym.machine": _machine(),
        "org.corrigym.boot": _read("/proc/sys/kernel/random/boot_id"),
        "org.corrigym.pid": str(os.getpid()),
        "org.corrigym.pid-started": _started(os.getpid()) or "",
        "org.corrigym.created": str(int(time.time())),
    }


def owner_is_dead(labels: dict[str, str]) -> bool:
    """True only if it is certain: the owner was on this machine, and this boot or this pid is over."""
    if labels.get("org.corrigym.machine") != _machine():
        return False
    if labels.get("org.corrigym.boot") != _read("/proc/sys/kernel/random/boot_id"):
        return True
    pid = labels.get("org.corrigym.pid", "")
    return not pid.isdecimal() or _started(int(pid)) != labels.get("org.corrigym.pid-started")


def _machine() -> str:
    return _read("/etc/machine-id") or platform.node()


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """Start time of a process in clock ticks since boot: field 22 of its stat, told apart from a reused pid."""
    stat = _read(f"/proc/{pid}/stat")
    return stat.rpartition(")")[2].split()[19] if stat else None
