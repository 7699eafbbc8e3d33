from collections.abc import Iterator

import pytest

from corrigym.agents.options import ANTHROPIC, OPENAI
from corrigym.agents.retries import RetryPolicy
from tests.agents.provider import Provider, serving
from tests.agents.seat import Seat


@pytest.fixture(scope="module")
def one_provider() -> Iterator[Provider]:
    with serving() as provider:
        yield provider


@pytest.fixture
def provider(one_provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """A server without plans, and an environment without keys."""
    for name in (
        *ANTHROPIC.variables,
        *OPENAI.variables,
        "ANTHROPIC_BASE_URL",
        "ANTHROPIC_CUSTOM_HEADERS",
        "OPENAI_BASE_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    one_provider.clear()
    one_provider.described.clear()
    one_provider.description = one_provider.counting = None
    one_provider.counted.clear()
    return one_provider


@pytest.fixture
def seat(provider: Provider) -> Iterator[Seat]:
    """A place for an agent that plays against the provider and waits for nothing."""
    waits: list[float] = []
    seat = Seat(provider.url, RetryPolicy(sleep=waits.append, jitter=lambda: 0.0), waits)
    yield seat
    seat.close()
