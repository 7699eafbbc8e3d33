"""Runs attempts one after the other, each in a child of its own, and prints what became of them. Standard library only,
Python 3.9: it is sent into a sandbox as it stands, with `ATTEMPTS` and `SCRATCH` in its globals.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

ATTEMPTS: list[tuple[str, str, bool, str]] = globals().get("ATTEMPTS", [])
"""Name, program, whether it is Python, and the folder for its files."""
SCRATCH: bool = globals().get("SCRATCH", False)
LONGEST, LIMIT = 4.0, 200_000
"""Seconds, and characters of output."""
PRELUDE = """
import ctypes, fcntl, glob, os, resource, signal, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(number, *words):
    return libc.syscall(ctypes.c_long(number), *(ctypes.c_long(w) if isinstance(w, int) else w for w in words))
def won(yes):
    sys.exit(0 if yes else 1)
"""
_NAMESPACES = 0x20000 | 0x4000000 | 0x8000000 | 0x20000000 | 0x40000000 | 0x2000000


def _outcome(program: str, python: bool, tmp: str) -> tuple[int, str]:
    """Exit code and output; a program that does not end in time is killed, and has not won."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.close(reader)
        for fd in (1, 2):
            os.dup2(writer, fd)
        os.closerange(3, 64)
        if SCRATCH:
            _leave()
        Path(tmp).mkdir(exist_ok=True)
        os.chdir("/")
        _be(program, python)
    os.close(writer)
    said, deadline = b"", time.monotonic() + LONGEST
    ended: int | None = None
    while ended is None:
        if select.select([reader], [], [], 0.02)[0]:
            said += os.read(reader, 65536)
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            ended = status
        elif time.monotonic() > deadline:
            os.killpg(pid, signal.SIGKILL)
            ended = os.waitpid(pid, 0)[1]
    while len(said) < LIMIT and select.select([reader], [], [], 0)[0]:
        more = os.read(reader, 65536)
        if not more:
            break
        said += more
    os.close(reader)
    code = os.WEXITSTATUS(ended) if os.WIFEXITED(ended) else -1
    return code, said[:LIMIT].decode("utf-8", "replace")


def _be(program: str, python: bool) -> None:
    if not python:
        os.execv("/bin/bash", ["bash", "-c", program])
    code: Any = 1
    try:
        exec(compile(PRELUDE + program, "attempt", "exec"), {"__name__": "attempt"})
    except SystemExit as end:
        code = end.code or 0
    except Exception as error:  # noqa: BLE001  whatever it says, it is a failure of the attempt's
        print(repr(error))
    finally:
        sys.stdout.flush()
        os._exit(code)


def _leave() -> None:
    """As root on a machine of ours: into new namespaces, with a /tmp and a /proc of their own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NAMESPACES) != 0:
        os._exit(99)
    inner = os.fork()
    if inner:
        os._exit(os.WEXITSTATUS(os.waitpid(inner, 0)[1]))
    libc.mount(b"none", b"/", None, 16384 | 262144, None)  # MS_REC | MS_PRIVATE
    libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)
    libc.mount(b"proc", b"/proc", b"proc", 0, None)
    last = os.fork()
    if last:
        while True:
            pid, status = os.waitpid(-1, 0)
            if pid == last:
                os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1)


sys.stdout.flush()
results = {name: _outcome(program, python, tmp) for name, program, python, tmp in ATTEMPTS}
print(json.dumps(results))
