"""A certificate authority of the host's own network: its certificate, and one for any name that a client asks for.
ECDSA on P-256 and DER by hand, as the standard library has neither. Everything follows from a seed, so that equal
worlds have equal certificates; nothing here protects a secret. Standard library only, Python 3.9.
"""

from __future__ import annotations

import base64
import hashlib
import socket

_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)

_SHA256_WITH_ECDSA = "1.2.840.10045.4.3.2"
_EC_KEY, _P256 = "1.2.840.10045.2.1", "1.2.840.10045.3.1.7"
_NOT_BEFORE, _NOT_AFTER = b"240101000000Z", b"440101000000Z"
SUBJECT_HASH = "a5a4b17d"
"""What OpenSSL calls the authority's subject in a directory of certificates (`openssl x509 -subject_hash`)."""


class Authority:
    """`pem` is its certificate, made here where it is not `known`. `issue(name)` makes the certificate and key of a
    host or address, both in PEM."""

    def __init__(self, seed: bytes, known: str = "") -> None:
        self._key = _secret(seed, b"authority")
        self._leaf = _secret(seed, b"leaf")
        self._name = _name(("2.5.4.10", "Internal Services"), ("2.5.4.3", "Internal Root CA R1"))
        self.pem = known or self._own()

    def _own(self) -> str:
        constraints = _extension("2.5.29.19", _sequence(_tlv(1, b"\xff")), critical=True)
        usage = _extension("2.5.29.15", _tlv(3, b"\x01\x06"), critical=True)
        return _pem("CERTIFICATE", self._certificate(self._name, self._key, constraints + usage))

    def issue(self, name: str) -> str:
        other = _tlv(0x82, name.encode("ascii", "replace")[:253])
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                other = _tlv(0x87, socket.inet_pton(family, name))
            except OSError:
                continue
        names = _extension("2.5.29.17", _sequence(other))
        subject = _name(("2.5.4.3", name.encode("ascii", "replace").decode()[:64]))
        certificate = _pem("CERTIFICATE", self._certificate(subject, self._leaf, names))
        private = _sequence(
            _integer(1),
            _tlv(4, self._leaf.to_bytes(32, "big")),
            _tlv(0xA0, _oid(_P256)),
            _tlv(0xA1, _bits(_public(self._leaf))),
        )
        return certificate + self.pem + _pem("EC PRIVATE KEY", private)

    def _certificate(self, subject: bytes, key: int, extensions: bytes) -> bytes:
        own, issuer = (_tlv(4, hashlib.sha1(_public(one)).digest()) for one in (key, self._key))
        extensions += _extension("2.5.29.14", own)
        extensions += _extension("2.5.29.35", _sequence(b"\x80" + issuer[1:]))
        serial = int.from_bytes(hashlib.sha256(subject + extensions).digest()[:8], "big") >> 1
        algorithm = _sequence(_oid(_SHA256_WITH_ECDSA))
        body = _sequence(
            _tlv(0xA0, _integer(2)), _integer(serial), algorithm, self._name,
            _sequence(_tlv(0x17, _NOT_BEFORE), _tlv(0x17, _NOT_AFTER)), subject,
            _sequence(_sequence(_oid(_EC_KEY), _oid(_P256)), _bits(_public(key))), _tlv(0xA3, _sequence(extensions)),
        )  # fmt: skip
        return _sequence(body, algorithm, _bits(_sign(self._key, body)))


def _secret(seed: bytes, purpose: bytes) -> int:
    return int.from_bytes(hashlib.sha512(len(seed).to_bytes(4, "big") + seed + purpose).digest(), "big") % (_N - 1) + 1


def _sign(key: int, message: bytes) -> bytes:
    digest = hashlib.sha256(message).digest()
    nonce = _secret(key.to_bytes(32, "big"), digest)
    point = _affine(_times(nonce))
    r = point[0] % _N
    s = pow(nonce, -1, _N) * (int.from_bytes(digest, "big") + r * key) % _N
    return _sequence(_integer(r), _integer(s))


def _public(key: int) -> bytes:
    x, y = _affine(_times(key))
    return b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")


def _times(factor: int) -> tuple[int, int, int] | None:
    """`factor` times the generator, in Jacobian coordinates."""
    result: tuple[int, int, int] | None = None
    for bit in bin(factor)[2:]:
        result = _double(result)
        if bit == "1":
            result = _add_generator(result)
    return result


def _double(point: tuple[int, int, int] | None) -> tuple[int, int, int] | None:
    if point is None:
        return None
    x, y, z = point
    delta, gamma = z * z % _P, y * y % _P
    beta = x * gamma % _P
    alpha = 3 * (x - delta) * (x + delta) % _P
    new_x = (alpha * alpha - 8 * beta) % _P
    return new_x, (alpha * (4 * beta - new_x) - 8 * gamma * gamma) % _P, 2 * y * z % _P


def _add_generator(point: tuple[int, int, int] | None) -> tuple[int, int, int] | None:
    """Never called with the generator itself or its negative but for a chance of 2**-256."""
    if point is None:
        return (*_G, 1)
    x, y, z = point
    zz = z * z % _P
    h = (_G[0] * zz - x) % _P
    r = (_G[1] * zz * z - y) % _P
    hh = h * h % _P
    hhh, v = hh * h % _P, x * hh % _P
    new_x = (r * r - hhh - 2 * v) % _P
    return new_x, (r * (v - new_x) - y * hhh) % _P, z * h % _P


def _affine(point: tuple[int, int, int] | None) -> tuple[int, int]:
    assert point is not None
    x, y, z = point
    inverse = pow(z, -1, _P)
    return x * inverse * inverse % _P, y * inverse * inverse * inverse % _P


def _tlv(tag: int, data: bytes) -> bytes:
    length = len(data)
    size = bytes([length]) if length < 128 else b"\x82" + length.to_bytes(2, "big")
    return bytes([tag]) + size + data


def _sequence(*parts: bytes) -> bytes:
    return _tlv(0x30, b"".join(parts))


def _integer(value: int) -> bytes:
    return _tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _bits(data: bytes) -> bytes:
    return _tlv(3, b"\0" + data)


def _oid(dotted: str) -> bytes:
    first, second, *rest = (int(part) for part in dotted.split("."))
    out = bytearray([first * 40 + second])
    for number in rest:
        groups = [number & 127]
        while number := number >> 7:
            groups.append(number & 127 | 128)
        out += bytes(reversed(groups))
    return _tlv(6, bytes(out))


def _name(*pairs: tuple[str, str]) -> bytes:
    return _sequence(*(_tlv(0x31, _sequence(_oid(oid), _tlv(12, value.encode()))) for oid, value in pairs))


def _extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    return _sequence(_oid(oid), _tlv(1, b"\xff") if critical else b"", _tlv(4, value))


def _pem(label: str, der: bytes) -> str:
    text = base64.b64encode(der).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"
