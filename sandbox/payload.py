"""The supervisor's program, as it is sent into a sandbox: sources of its modules, run in the order of their imports."""

import ast
import json
import marshal
import struct
import threading
import zlib
from functools import cache
from importlib.util import MAGIC_NUMBER, find_spec
from pathlib import Path

from corrigym.sandbox.base import Channel
from corrigym.scenarios.syntax import parse

_one_at_a_time = threading.Lock()
_RECORDS = "corrigym.sandbox.supervisor.records"
"""Is `dataclasses` there."""

_LOADER = """
import sys
from importlib._bootstrap_external import MAGIC_NUMBER
compiled, sources = take({compiled}), take({sources})
def package(name):
    if name and name not in sys.modules:
        sys.modules[name] = type(sys)(name)
        sys.modules[name].__path__ = []
        package(name.rpartition(".")[0])
if MAGIC_NUMBER == {magic}:
    import marshal
    modules = marshal.loads(compiled)
else:
    import json, zlib
    modules = [(name, compile(source, name, "exec")) for name, source in json.loads(zlib.decompress(sources))]
for name, code in modules:
    parent, _, last = name.rpartition(".")
    package(parent)
    module = sys.modules[name] = type(sys)(name)
    if parent:
        setattr(sys.modules[parent], last, module)
    exec(code, module.__dict__)
module.main()
"""
"""Takes the modules compiled, if the sandbox's Python is of the host's kind: compiling them was a third of a start."""

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
"""What a sandbox begins with (in the image, /usr/local/sbin/init): it runs the program that the host sends first."""


def payload(main: str = "corrigym.sandbox.supervisor.main") -> bytes:
    """A loader with the length that INIT expects before it, and after it what it takes: the module `main` and all that
    it needs, in two forms. In the end its `main` is called."""
    with _one_at_a_time:  # as many threads as start sandboxes at once would each make it
        return _payload(main)


@cache
def _payload(main: str) -> bytes:
    modules = [("dataclasses", _source(_RECORDS)), *((name, _source(name)) for name in _needed(main, {}))]
    compiled = marshal.dumps([(name, compile(source, name, "exec")) for name, source in modules])
    sources = zlib.compress(json.dumps(modules).encode())
    program = _LOADER.format(compiled=len(compiled), sources=len(sources), magic=MAGIC_NUMBER).encode()
    return struct.pack(">I", len(program)) + program + compiled + sources


def primed(channel: Channel) -> Channel:
    """With the supervisor's program sent, which comes up meanwhile; closed if that fails."""
    try:
        channel.send(payload())
    except BaseException:
        channel.close()
        raise
    return channel


def _needed(name: str, found: dict[str, None]) -> dict[str, None]:
    """The module and all of ours that it imports, each after what it needs itself."""
    for node in parse(_source(name)).body:
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
