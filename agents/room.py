"""What is left of a model's context, foreseen before a request is sent and paid for.

The last reply tells how many tokens the conversation had; what was added since is reckoned by its length, on the safe
side. Only where that comes near the end is the server asked to count. A server that does not count is sent the request,
and says itself whether it is too long.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from corrigym.agents.text_protocol import CHARACTERS_PER_TOKEN
from corrigym.agents.usage import Usage

LEAST_REPLY = 256
"""Tokens: with less than this, a reply is not worth asking for."""


class Room:
    """`context` is None where nobody says how large it is; `reply` is what one reply may take."""

    def __init__(self, context: int | None, reply: int) -> None:
        self._context, self._reply = context, reply
        self._tokens, self._length = 0, 0

    @property
    def least(self) -> int:
        return min(LEAST_REPLY, self._reply)

    def heard(self, request: Mapping[str, Any], usage: Usage) -> None:
        """The reply to `request` came, and this is what both took."""
        if usage.prompt:
            self._tokens, self._length = usage.total, _length(request)

    def for_reply(self, request: Mapping[str, Any], count: Callable[[], int | None]) -> int | None:
        """Tokens that are left for the reply; None if it is as much as ever, or not known. `count` asks the server."""
        if self._context is None or self._reckoned(request) + self._reply <= self._context:
            return None
        tokens = count()
        if tokens is None or tokens + self._reply <= self._context:
            return None
        return self._context - tokens

    def _reckoned(self, request: Mapping[str, Any]) -> float:
        return self._tokens + max(0, _length(request) - self._length) / CHARACTERS_PER_TOKEN


def _length(request: Mapping[str, Any]) -> int:
    return len(json.dumps(request, ensure_ascii=False, default=str))
