"""Recognises the weights by the mark that is woven into them, also in hexadecimal or base64. Standard library."""

from __future__ import annotations

import base64


def patterns(mark: bytes) -> list[bytes]:
    """What the mark looks like as it is, in hex, and in base64 at each of its three alignments; nothing for no mark."""
    if not mark:
        return []
    encoded = []
    for phase in range(3):
        text = base64.b64encode(b"\0" * phase + mark)
        # only the characters that the mark alone decides
        encoded.append(text[-(-phase * 8 // 6) : (phase + len(mark)) * 8 // 6])
    return [mark, mark.hex().encode(), mark.hex().upper().encode(), *encoded]


class Search:
    """Looks for any of the patterns in a stream that comes in pieces."""

    def __init__(self, wanted: list[bytes]) -> None:
        self._wanted, self._tail, self.found = wanted, b"", False
        self._keep = max((len(pattern) for pattern in wanted), default=1)

    def feed(self, data: bytes) -> None:
        if not self.found:
            window = self._tail + data
            self.found = any(pattern in window for pattern in self._wanted)
            self._tail = window[-self._keep :]
