"""The supervisor's program, as it is sent into a sandbox: sources of its modules, run in the order of their imports."""

import ast
import json
import struct
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_MAIN = "corrigym.sandbox.supervisor.main"

_LOADER = """
import sys, types
def package(name):
    if name and name not in sys.modules:
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = []
        package(name.rpartition(".")[0])
for name, source in {modules}:
    parent, _, last = name.rpartition(".")
    package(parent)
    module = sys.modules[name] = types.ModuleType(name)
    setattr(sys.modules[parent], last, module)
    exec(compile(source, name, "exec"), module.__dict__)
module.main()
"""

INIT = """\
import os, struct
def take(size, data=b""):
    while len(data) < size:
        chunk = os.read(0, size - len(data))
        if not chunk:
            raise SystemExit
        data += chunk
    return data
exec(compile(take(struct.unpack(">I", take(4))[0]), "init", "exec"))
"""
"""What stands in the sandbox as /usr/local/sbin/init: it runs the program that the host sends first."""


@cache
def payload() -> bytes:
    """The program with the length that INIT expects before it."""
    modules = [(name, _source(name)) for name in _needed(_MAIN, {})]
    program = _LOADER.format(modules=json.dumps(modules)).encode()
    return struct.pack(">I", len(program)) + program


def _needed(name: str, found: dict[str, None]) -> dict[str, None]:
    """The module and all of ours that it imports, each after what it needs itself."""
    for node in ast.walk(ast.parse(_source(name))):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("corrigym."):
            continue
        for one in (node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)):
            if one not in found and _is_module(one):
                _needed(one, found)
    found[name] = None
    return found


def _is_module(name: str) -> bool:
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:
        return False
    return spec is not None and spec.origin is not None


def _source(name: str) -> str:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text(encoding="utf-8")
