"""The server's side of protocols that are lines of text, and of those that are only met as far as a greeting.
Standard library only, Python 3.9.

Each is fed what the client sends and returns what to answer; `over` means that the connection is to be closed once that
is sent. What is content goes to `Content`.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Callable

from corrigym.sandbox.supervisor.http import GIT_EMPTY, git_accepted, packet

Content = Callable[[bytes], None]
MAX_LINE = 1 << 12
GREETINGS = {
    21: b"220 FTP server ready\r\n", 22: b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n",
    25: b"220 mx1 ESMTP Postfix\r\n", 587: b"220 mx1 ESMTP Postfix\r\n", 2525: b"220 mx1 ESMTP Postfix\r\n",
    873: b"@RSYNCD: 31.0 sha512 sha256 sha1 md5 md4\n", 110: b"+OK POP3 ready\r\n", 143: b"* OK IMAP4rev1 ready\r\n",
}  # fmt: skip
"""What servers on these ports say before they are asked."""
SPEAKERS = {21: "ftp", 22: "ssh", 25: "smtp", 587: "smtp", 2525: "smtp", 873: "rsync"}


def protocol_of(data: bytes) -> str:
    """Told by how a client begins; "" if it is none of these."""
    if data.startswith(b"SSH-"):
        return "ssh"
    if data.startswith(b"@RSYNCD:"):
        return "rsync"
    if re.match(rb"(?i)(ehlo|helo) ", data):
        return "smtp"
    if re.match(rb"(?i)user [^\r\n]{1,64}\r\n", data):
        return "ftp"
    return "git" if re.match(rb"[0-9a-f]{4}git-(upload|receive)-pack ", data) else ""


class Lines:
    """Splits what comes into lines, longer ones than MAX_LINE where they reach it."""

    def __init__(self) -> None:
        self.held = b""

    def feed(self, data: bytes) -> list[bytes]:
        self.held += data
        *lines, self.held = self.held.split(b"\n")
        if len(self.held) > MAX_LINE:
            lines, self.held = [*lines, self.held], b""
        return [line.rstrip(b"\r") for line in lines]


class Ssh:
    """Lets the client show its version and its proposal, then hangs up, as a server that is full does."""

    def __init__(self, content: Content) -> None:
        self._content, self._seen, self.over = content, 0, False
        self._greeted = False

    def feed(self, data: bytes) -> bytes:
        self._content(data)
        self._seen += len(data)
        self.over = self._seen > 300  # a version is at most 255 bytes; a proposal is longer
        return b""


class Rsync:
    """The module that is asked for is not there."""

    def __init__(self, content: Content) -> None:
        self._content, self._lines, self.over = content, Lines(), False

    def feed(self, data: bytes) -> bytes:
        self._content(data)
        for line in self._lines.feed(data):
            if not line.startswith(b"@RSYNCD:"):
                self.over = True
                return b"@ERROR: Unknown module '%s'\n" % line[:64]
        return b""


class Smtp:
    """Takes every message."""

    _REPLIES = {
        b"EHLO": b"250-mx1\r\n250-SIZE 52428800\r\n250 8BITMIME\r\n", b"HELO": b"250 mx1\r\n",
        b"QUIT": b"221 2.0.0 Bye\r\n", b"AUTH": b"235 2.7.0 Authentication successful\r\n",
    }  # fmt: skip

    def __init__(self, content: Content) -> None:
        self._content, self._lines, self._in_data, self.over = content, Lines(), False, False

    def feed(self, data: bytes) -> bytes:
        out = b""
        for line in self._lines.feed(data):
            self._content(line + b"\n")
            out += self._line(line)
        return out

    def _line(self, line: bytes) -> bytes:
        if self._in_data:
            self._in_data = line != b"."
            return b"" if self._in_data else b"250 2.0.0 Ok: queued as 4F2A91C03E\r\n"
        verb = line[:4].upper()
        if verb == b"DATA":
            self._in_data = True
            return b"354 End data with <CR><LF>.<CR><LF>\r\n"
        self.over = verb == b"QUIT"
        return self._REPLIES.get(verb, b"250 2.1.0 Ok\r\n")


class Ftp:
    """Takes every upload; the data connection comes to a port of its own, and is recorded there. `passive` opens one
    and tells its address and port."""

    def __init__(self, content: Content, passive: Callable[[], tuple[str, int]]) -> None:
        self._content, self._passive, self._lines, self.over = content, passive, Lines(), False

    def feed(self, data: bytes) -> bytes:
        self._content(data)
        return b"".join(self._line(line) for line in self._lines.feed(data))

    def _line(self, line: bytes) -> bytes:
        verb = line.partition(b" ")[0].upper()
        if verb == b"EPSV":
            return b"229 Entering Extended Passive Mode (|||%d|)\r\n" % self._passive()[1]
        if verb == b"PASV":
            address, port = self._passive()
            numbers = [*address.split("."), str(port >> 8), str(port & 255)]
            return f"227 Entering Passive Mode ({','.join(numbers)})\r\n".encode()
        if verb in (b"STOR", b"APPE", b"STOU"):
            return b"150 Ok to send data\r\n226 Transfer complete\r\n"
        self.over = verb == b"QUIT"
        replies = {
            b"USER": b"331 Please specify the password\r\n", b"PASS": b"230 Login successful\r\n",
            b"PWD": b'257 "/" is the current directory\r\n', b"TYPE": b"200 Switching mode\r\n",
            b"QUIT": b"221 Goodbye\r\n", b"CWD": b"250 Directory changed\r\n", b"SYST": b"215 UNIX Type: L8\r\n",
            b"MKD": b"257 Created\r\n", b"PORT": b"500 Not allowed\r\n", b"EPRT": b"500 Not allowed\r\n",
            b"RETR": b"550 No such file\r\n", b"SIZE": b"550 No such file\r\n",
        }  # fmt: skip
        return replies.get(verb, b"502 Command not implemented\r\n")


def _end_of_commands(held: bytes) -> int | None:
    """Where the flush that follows the commands (pkt-lines) ends; None if it has not come."""
    at = 0
    while re.match(rb"[0-9a-f]{4}", held[at : at + 4]):
        length = int(held[at : at + 4], 16)
        at += max(4, length)
        if length == 0:
            return at
    return None


MAX_COMMANDS = 1 << 16
_UPDATES = re.compile(rb"[0-9a-f]{40} (?!0{40})[0-9a-f]{40} refs/")
"""A reference that gets a new value, for which a pack follows; a deletion has none."""


class Git:
    """A repository that is empty and takes every push."""

    def __init__(self, content: Content) -> None:
        self._content, self._held, self._told, self.over = content, b"", False, False
        self._pack = hashlib.sha1()
        self._end = b""
        """The last 20 bytes: a pack ends with the digest of all that stands before."""

    def feed(self, data: bytes) -> bytes:
        self._content(data)
        if not self._told:
            return self._request(data)
        if not self._end:
            self._held += data
            end = _end_of_commands(self._held)
            if end is None or end == len(self._held):
                deletions = end is not None and not _UPDATES.search(self._held)
                self.over = deletions or len(self._held) > MAX_COMMANDS
                return git_accepted(self._held) if self.over else b""
            self._held, data = self._held[:end], self._held[end:]
        whole = self._end + data
        self._pack.update(whole[:-20])
        self._end = whole[-20:]
        self.over = self._pack.digest() == self._end
        return git_accepted(self._held) if self.over else b""

    def _request(self, data: bytes) -> bytes:
        self._held = (self._held + data)[:MAX_LINE]
        if len(self._held) < int(self._held[:4], 16):
            return b""
        self._told = True
        if b"git-receive-pack" in self._held:
            self._held = b""
            return GIT_EMPTY
        self.over = True
        return packet(b"ERR access denied or repository not exported")


class Dns:
    """Questions over TCP: two bytes of length before each. `answer` takes a packet and returns one."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer, self._held, self.over = answer, b"", False

    def feed(self, data: bytes) -> bytes:
        self._held, out = self._held + data, b""
        while len(self._held) >= 2:
            (length,) = struct.unpack(">H", self._held[:2])
            if len(self._held) < 2 + length:
                break
            reply = self._answer(self._held[2 : 2 + length])
            out += struct.pack(">H", len(reply)) + reply if reply else b""
            self._held = self._held[2 + length :]
        return out
