"""Every address is here: routes that make each one local, and a netfilter rule that hands whatever goes to one outside
of loopback to a single listener, with its destination kept. Standard library only, Python 3.9.

Both need CAP_NET_ADMIN in the network namespace, and only at the start.
"""

from __future__ import annotations

import functools
import os
import socket
import struct

MARK = 0x5EA
"""SO_MARK of packets that are answers already, and are not to come back to us."""
_REQUEST, _ACK, _CREATE, _APPEND = 1, 4, 0x400, 0x800
_RTM_NEWROUTE, _NETLINK_NETFILTER = 24, 12
_BATCH_BEGIN, _BATCH_END, _NFTABLES = 16, 17, 10
_NEWTABLE, _NEWCHAIN, _NEWRULE = 0, 3, 6
_INET, _IPV4, _IPV6 = 1, 2, 10


def route_everything_here() -> None:
    """`ip route add local 0.0.0.0/0 dev lo`, and the same for ::/0 where there is IPv6. OSError if IPv4 refuses."""
    _add_local_route(socket.AF_INET)
    try:
        _add_local_route(socket.AF_INET6)
    except OSError:
        pass  # IPv6 is off: then no connection over it succeeds either


def intercept(address: str, port: int) -> None:
    """From now on the transparent sockets bound to `address`:`port` (and [::1]:`port`) get all TCP and UDP that goes
    to an address outside of loopback. OSError where the kernel has no nf_tables with `tproxy`."""
    _ask(_NETLINK_NETFILTER, interception(address, port), acknowledged=4)


@functools.cache
def interception(address: str, port: int) -> bytes:
    """A table, a chain and a rule for each protocol."""
    rules = (
        _rule(_IPV4, (16, b"\x7f"), socket.inet_aton(address), port),
        _rule(_IPV6, (24, socket.inet_pton(socket.AF_INET6, "::1")), socket.inet_pton(socket.AF_INET6, "::1"), port),
    )
    table = _attribute(1, b"network\0")
    hook = _attribute(1, struct.pack(">I", 0)) + _attribute(2, struct.pack(">i", -150))  # prerouting, priority mangle
    chain = table + _attribute(3, b"in\0") + _attribute(4, hook, nested=True) + _attribute(7, b"filter\0")
    made = [(_NEWTABLE, _CREATE, table), (_NEWCHAIN, _CREATE, chain)]
    made += [
        (_NEWRULE, _CREATE | _APPEND, table + _attribute(2, b"in\0") + _attribute(4, rule, nested=True))
        for rule in rules
    ]
    return b"".join([
        _message(_BATCH_BEGIN, _REQUEST, _nfgen(0, _NFTABLES)),
        *(_message(_NFTABLES << 8 | kind, _REQUEST | _ACK | flags, _nfgen(_INET) + body) for kind, flags, body in made),
        _message(_BATCH_END, _REQUEST, _nfgen(0, _NFTABLES)),
    ])  # fmt: skip


def _add_local_route(family: socket.AddressFamily) -> None:
    """struct rtmsg (family, dst_len, src_len, tos, table LOCAL, protocol BOOT, scope, type LOCAL, flags), RTA_OIF."""
    scope = 254 if family == socket.AF_INET else 0
    body = struct.pack("=BBBBBBBBI", family, 0, 0, 0, 255, 3, scope, 2, 0)
    body += struct.pack("=HHI", 8, 4, socket.if_nametoindex("lo"))
    try:
        _ask(socket.NETLINK_ROUTE, _message(_RTM_NEWROUTE, _REQUEST | _CREATE | _ACK, body), acknowledged=1)
    except FileExistsError:
        pass  # a second start in the same namespace


def _rule(protocol: int, own: tuple[int, bytes], address: bytes, port: int) -> bytes:
    """What is of this protocol, not marked, and whose destination does not begin with `own` (offset, bytes)."""
    offset, loopback = own
    payload = [(1, 1), (2, 1), (3, offset), (4, len(loopback))]  # to register 1, of the network header
    return b"".join([
        _expression("meta", _numbers([(1, 1), (2, 15)])), _compare(0, bytes([protocol])),
        _expression("meta", _numbers([(1, 1), (2, 3)])), _compare(1, struct.pack("=I", MARK)),
        _expression("payload", _numbers(payload)), _compare(1, loopback),
        _expression("immediate", _numbers([(1, 1)]) + _data(2, address)),
        _expression("immediate", _numbers([(1, 2)]) + _data(2, struct.pack(">H", port))),
        _expression("tproxy", _numbers([(1, protocol), (2, 1), (3, 2)])),
    ])  # fmt: skip


def _compare(operation: int, value: bytes) -> bytes:
    """Register 1 with `value`: 0 for equal, 1 for not equal."""
    return _expression("cmp", _numbers([(1, 1), (2, operation)]) + _data(3, value))


def _expression(name: str, data: bytes) -> bytes:
    return _attribute(1, _attribute(1, name.encode() + b"\0") + _attribute(2, data, nested=True), nested=True)


def _numbers(pairs: list[tuple[int, int]]) -> bytes:
    return b"".join(_attribute(kind, struct.pack(">I", value)) for kind, value in pairs)


def _data(kind: int, value: bytes) -> bytes:
    return _attribute(kind, _attribute(1, value), nested=True)


def _attribute(kind: int, data: bytes, *, nested: bool = False) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind | (0x8000 if nested else 0)) + data + bytes(-len(data) % 4)


def _nfgen(family: int, subsystem: int = 0) -> bytes:
    return struct.pack("=BB", family, 0) + struct.pack(">H", subsystem)


def _message(kind: int, flags: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body


def _ask(protocol: int, messages: bytes, *, acknowledged: int) -> None:
    """Sends, and reads the acknowledgements (struct nlmsghdr, then a negative errno or 0)."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as link:
        link.settimeout(5)
        link.send(messages)
        while acknowledged > 0:
            answer = link.recv(65536)
            while len(answer) >= 20:
                length, _, _, _, _, error = struct.unpack("=IHHIIi", answer[:20])
                if error:
                    raise OSError(-error, os.strerror(-error))
                answer, acknowledged = answer[(length + 3) & ~3 :], acknowledged - 1
