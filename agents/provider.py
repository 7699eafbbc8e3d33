"""What an agent needs of a provider's SDK: requests made once, replies whole or an error, errors that can be read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from corrigym.agents.base import Briefing
from corrigym.agents.dialogue import Dialogue, Reply
from corrigym.agents.options import Endpoint
from corrigym.agents.retries import Fault


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the server says about its model; a server that says nothing leaves the defaults."""

    thinking: frozenset[str] = frozenset()
    """The kinds of thinking that a request may ask for: `adaptive`, `enabled`, `disabled`."""
    context: int | None = None
    max_tokens: int | None = None


class Provider(Protocol):
    endpoint: Endpoint
    errors: tuple[type[Exception], ...]
    """All that a failure can be raised as."""

    def describe(self) -> Abilities:
        """What the server says about the model; one request."""

    def dialogue(self, briefing: Briefing) -> Dialogue:
        """A conversation with native tool calling."""

    @property
    def reply_tokens(self) -> int:
        """What one reply may take at most, once `describe` was called."""

    def count(self, request: Mapping[str, Any]) -> int | None:
        """The tokens of the prompt that `request` is, counted by the server; None if it does not do that. One request,
        which may fail without harm."""

    def reply(self, request: Mapping[str, Any]) -> Reply:
        """The model's whole turn; one request. A request may bound its own reply by `max_tokens`."""

    def read_fault(self, error: BaseException) -> Fault | None:
        """The fault that `error` stands for; None if it is none of the provider's."""

    def adapt(self, fault: Fault) -> bool:
        """Leaves out of later requests what the server could not take; False if there is nothing of the kind."""

    def close(self) -> None: ...
