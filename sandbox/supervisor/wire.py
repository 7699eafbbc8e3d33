"""Frames between host and supervisor: four bytes of length, big-endian, then JSON. Standard library, Python 3.9."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from typing import Any

MAX_FRAME = 1 << 28
"""Upper bound of a frame in bytes, so that a broken peer cannot make the other side allocate without end."""


class WireError(Exception):
    """The peer closed the stream, or sent what is no frame."""


def encode(message: dict[str, Any]) -> bytes:
    body = json.dumps(message, separators=(",", ":")).encode()
    if len(body) > MAX_FRAME:
        raise WireError(f"a frame of {len(body)} bytes is over the limit of {MAX_FRAME}")
    return struct.pack(">I", len(body)) + body


def decode(read: Callable[[int], bytes]) -> dict[str, Any]:
    """The next message; `read(n)` returns exactly n bytes or raises WireError."""
    (size,) = struct.unpack(">I", read(4))
    if size > MAX_FRAME:
        raise WireError(f"a frame of {size} bytes is over the limit of {MAX_FRAME}")
    try:
        message = json.loads(read(size))
    except ValueError as error:
        raise WireError(f"not JSON: {error}") from None
    if not isinstance(message, dict):
        raise WireError("a frame holds a JSON object")
    return message


def pack(data: bytes) -> str:
    return base64.b64encode(data).decode()


def unpack(text: str) -> bytes:
    return base64.b64decode(text)
