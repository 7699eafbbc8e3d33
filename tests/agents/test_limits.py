"""What episodes and runs may use up, and what it costs."""

import threading
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corrigym.agents.prices import SHIPPED, LongRates, Price, find_price, load_prices, need_price
from corrigym.agents.usage import Usage, read_usage
from corrigym.episodes.events import Message, Payload, Wait
from corrigym.errors import AgentError, UsageError
from corrigym.studies.accounts import charge, together, told
from corrigym.studies.limits import Budget, EpisodeLimits, LimitReached, Meter
from tests.cli.command import corrigym

PRICE = Price(input=10, output=100, cache_read=1, cache_write=12.5)
CACHED = {"input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 900, "cache_creation_input_tokens": 80}


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (CACHED, Usage(input=100, output=20, cache_read=900, cache_write=80)),
        (
            {"prompt_tokens": 50, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 30}},
            Usage(input=20, output=7, cache_read=30),
        ),
        ({"prompt_tokens": 50, "completion_tokens": 7, "prompt_tokens_details": None}, Usage(input=50, output=7)),
        ({"input_tokens": None, "output_tokens": "many", "server_tool_use": {}}, Usage()),
        ({}, Usage()),
    ],
)
def test_usage_is_read_as_either_api_tells_it(told: dict[str, Any], usage: Usage) -> None:
    assert read_usage(told) == usage


def test_a_reply_costs_what_the_list_says_and_caching_shows() -> None:
    usage = read_usage(CACHED)
    assert PRICE.of(usage) == pytest.approx((100 * 10 + 20 * 100 + 900 * 1 + 80 * 12.5) / 1e6)
    assert PRICE.without_caching(usage) == pytest.approx((1080 * 10 + 20 * 100) / 1e6)
    account = charge([usage, usage], PRICE)
    assert account.cost == pytest.approx(0.0098)
    assert account.saved == pytest.approx(0.0158)
    assert told(account) == "2,160 tokens in, 1,800 of it from the cache, 40 out; $0.0098 (caching saved $0.0158)"


def test_a_long_prompt_has_its_own_price() -> None:
    price = Price(input=1, output=1, above=LongRates(tokens=100, input=5, output=7))
    assert price.of(Usage(input=50, cache_read=50, output=1)) == pytest.approx(101e-6)
    assert price.of(Usage(input=51, cache_read=50, output=1)) == pytest.approx((101 * 5 + 7) / 1e6)


def test_what_is_not_known_is_not_nothing() -> None:
    unknown = charge([Usage(input=1)], None)
    assert unknown.cost is None
    assert together([charge([Usage(input=1)], PRICE), unknown]).cost is None
    assert charge([], None).cost == 0.0


def test_the_list_is_dated_and_finds_versions_of_a_model() -> None:
    prices = load_prices(SHIPPED)
    assert prices.date > date(2026, 1, 1)
    assert find_price("anthropic/claude-opus-4-5-20251101?max_tokens=5", prices) == Price(
        input=5, output=25, cache_write=6.25, cache_read=0.5
    )
    assert find_price("openai/gpt-4.1-2025-04-14", prices) == find_price("openai/gpt-4.1", prices)
    assert find_price("openai/gpt-4.1-huge", prices) is None
    assert need_price("script/honest", prices) == Price(input=0, output=0)
    with pytest.raises(UsageError, match=r"price of 'openai/m' is not known .* --prices FILE"):
        need_price("openai/m?base_url=http://127.0.0.1", prices)


NEGATIVE = "date: 2026-01-01\nmodels: {m: {input: -1, output: 1}}"


@pytest.mark.parametrize("text", ["", "date: 2026-01-01", "a: [", "date: x\nmodels: {}", NEGATIVE])
def test_a_list_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"prices\.yaml"):
        load_prices(file)


def reply(**usage: Any) -> Message:
    return Message(role="assistant", model="m", usage=usage or {"input_tokens": 90, "output_tokens": 10})


NUDGE = Message(role="user", text="Go on.")


def started(limits: EpisodeLimits, **more: Any) -> tuple[Meter, list[Payload], list[float]]:
    now, seen = [0.0], list[Payload]()
    meter = Meter(limits, clock=lambda: now[0], **more)
    meter.start(seen.append)
    return meter, seen, now


def test_a_limit_lets_a_reply_be_heard_and_stops_the_next_request() -> None:
    meter, seen, _ = started(EpisodeLimits(tokens=150))
    meter.record(reply())
    meter.record(NUDGE)
    meter.record(reply())
    with pytest.raises(LimitReached, match="token_limit"):
        meter.record(NUDGE)
    with pytest.raises(LimitReached, match="token_limit: the limit was 150"):
        meter.check()
    assert len(seen) == 4


def test_cost_and_wall_time_are_limits_too() -> None:
    meter, _, _ = started(EpisodeLimits(cost=0.002), price=PRICE)
    meter.record(reply())
    meter.check()
    meter.record(reply())
    assert meter.cost == pytest.approx(0.0038)
    with pytest.raises(LimitReached, match="cost_limit"):
        meter.check()
    meter, _, now = started(EpisodeLimits(wall=30))
    meter.record(Wait(seconds=29, reason="429", attempt=1))
    now[0] = 30
    with pytest.raises(LimitReached, match="wall_time_limit"):
        meter.record(Wait(seconds=29, reason="429", attempt=2))


def test_a_budget_is_shared_and_ends_every_episode() -> None:
    budget = Budget(0.003)
    first, second = (started(EpisodeLimits(), price=PRICE, budget=budget)[0] for _ in range(2))
    first.record(reply())
    second.check()
    second.record(reply())
    assert budget.spent == pytest.approx(0.0038)
    for meter in (first, second):
        with pytest.raises(LimitReached, match=r"cost_limit: the run's budget of 0\.003"):
            meter.check()


def test_a_provider_that_does_not_count_cannot_be_bounded() -> None:
    meter, _, _ = started(EpisodeLimits(tokens=5))
    with pytest.raises(AgentError, match="does not say how many tokens"):
        meter.record(reply(new_counter=1))


@given(st.lists(st.integers(0, 10_000)))
def test_a_budget_loses_nothing_between_threads(costs: list[int]) -> None:
    budget = Budget(1e9)
    threads = [threading.Thread(target=budget.add, args=(float(cost),)) for cost in costs[:8]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert budget.spent == sum(costs[:8])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--limit", "token=5"), "there is no limit 'token'. Did you mean 'tokens'?"),
        (("--limit", "tokens"), "write NAME=NUMBER"),
        (("--limit", "tokens=5", "--limit", "tokens=6"), "each name once"),
        (("--limit", "steps=0"), "--limit steps=0"),
        (("--max-cost", "much"), "'much' is not an amount of US dollars"),
        (("--agent", "anthropic/m?base_url=http://127.0.0.1:1", "--max-cost", "1"), "price of 'anthropic/m' is not"),
        (("--agent", "anthropic/m?base_url=http://127.0.0.1:1", "--limit", "cost=1"), "price of 'anthropic/m' is not"),
        (("--prices", "nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_what_cannot_be_bounded_is_refused_before_anything_starts(
    tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    done = corrigym("run", "weight-custody", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert not (tmp_path / "runs").exists()
