"""TLS as its server: the name that a client asks for, and the handshake for real, so that content is seen decrypted.
Standard library only, Python 3.9.
"""

from __future__ import annotations

import functools
import os
import struct
from typing import Any

from corrigym.sandbox.supervisor.certificates import SUBJECT_HASH, Authority

BUNDLE, SHARED, _OWN = "/etc/ssl/certs", "/certs", "/etc/ssl/certs.d"
_ALL = "ca-certificates.crt"
_ADDED = (_ALL, f"{SUBJECT_HASH}.0")
MAX_CONTEXTS = 64


def looks_like(data: bytes) -> bool:
    return data[:2] == b"\x16\x03"[: len(data[:2])]


def server_name(hello: bytes) -> str:
    """The name (SNI) in a ClientHello that came whole; "" if there is none."""
    try:
        at = 5 + 4 + 2 + 32  # record header, handshake header, version, random
        at += 1 + hello[at]
        at += 2 + struct.unpack_from(">H", hello, at)[0]
        at += 1 + hello[at]
        end = at + 2 + struct.unpack_from(">H", hello, at)[0]
        at += 2
        while at + 4 <= end:
            kind, length = struct.unpack_from(">HH", hello, at)
            if kind == 0:
                size = struct.unpack_from(">H", hello, at + 7)[0]
                return hello[at + 9 : at + 9 + size].decode("ascii", "backslashreplace")
            at += 4 + length
    except (IndexError, struct.error):
        pass
    return ""


class Keyring:
    """A server context for each name, made when it is first asked for."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._contexts: dict[str, Any] = {}

    def context(self, name: str) -> Any:
        if name not in self._contexts:
            if len(self._contexts) >= MAX_CONTEXTS:
                del self._contexts[next(iter(self._contexts))]
            self._contexts[name] = self._make(name)
        return self._contexts[name]

    def _make(self, name: str) -> Any:
        import ssl  # a dozen ms: not for those who never need it

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        fd = os.memfd_create("chain")
        try:
            os.write(fd, self._authority.issue(name).encode())
            context.load_cert_chain(f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)
        return context


class Layer:
    """`feed` takes what came over the wire and returns (plain text, what to send); `failed`: this is no TLS (any more),
    or the client did not like our certificate."""

    def __init__(self, context: Any) -> None:
        import ssl

        self._error = ssl.SSLError
        self._wants = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._shaken = self.failed = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        self._in.write(data)
        plain = bytearray()
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
            while chunk := self._tls.read(1 << 16):
                plain += chunk
        except self._wants:
            pass
        except (self._error, OSError):  # also the end of the stream
            self.failed = True
        return bytes(plain), self._out.read()

    def seal(self, plain: bytes) -> bytes:
        try:
            if plain and self._shaken:
                self._tls.write(plain)
        except (self._error, OSError):
            self.failed = True
        return self._out.read()


def share() -> None:
    """For many hosts that cannot write where it is: in SHARED what the machine's directory has of what its programs
    trust, and links to what each host will have of its own."""
    os.mkdir(SHARED)
    own = _ADDED if _bundle() else ()
    for entry in os.scandir(BUNDLE) if os.path.isdir(BUNDLE) else ():
        place = os.path.join(SHARED, entry.name)
        if entry.name in own:
            continue
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), place)
        elif entry.is_file():
            with open(entry.path, "rb") as source, open(place, "wb") as target:
                target.write(source.read())
    for name in own:
        os.symlink(f"{_OWN}/{name}", os.path.join(SHARED, name))
    _date(SHARED)


@functools.cache
def _bundle() -> bytes:
    """All that the machine trusts, in one; empty where there is no such file."""
    try:
        with open(f"{BUNDLE}/{_ALL}", "rb") as file:
            return file.read()
    except OSError:
        return b""


def prepare() -> None:
    """What this host has of its own: if what the others have is linked to it, or by the first write to an image's."""
    if os.path.exists(f"{BUNDLE}/{_ALL}"):
        with open(f"{BUNDLE}/{_ALL}", "ab"):
            pass
    elif _bundle():
        os.mkdir(_OWN)
        with open(f"{_OWN}/{_ALL}", "wb") as file:
            file.write(_bundle())
        _date(_OWN, os.path.dirname(_OWN))


def trust(authority: Authority) -> bool:
    """Puts the authority among those that the host's programs trust. False where there is no such directory."""
    if not os.path.isfile(f"{BUNDLE}/{_ALL}"):
        return False
    folder = os.path.dirname(os.path.realpath(f"{BUNDLE}/{_ALL}"))
    for name, mode in zip(_ADDED, "aw"):  # noqa: B905
        with open(os.path.join(folder, name), mode) as file:
            file.write(authority.pem)
    _date(folder)
    return True


def _date(*folders: str) -> None:
    """They are as old as what the machine has."""
    made = os.stat(BUNDLE).st_mtime
    for folder in folders:
        os.utime(folder, (made, made))
