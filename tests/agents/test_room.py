"""The end of a model's context, foreseen: by what the server counts, and without it by what it says."""

import pytest

from corrigym.agents.base import AgentStop
from tests.agents.provider import Provider, counts, described, says, status, use
from tests.agents.seat import Seat, observation, result

LS = use("t", "bash", {"command": "ls"})
START = observation()
SMALL = described(max_input_tokens=10_000, max_tokens=4_000)


def test_far_from_the_end_nothing_is_counted(provider: Provider, seat: Seat) -> None:
    provider.description = SMALL
    provider.will(says(LS), says(LS))
    agent = seat.take()
    agent.act(START)
    agent.act(result("x" * 5_000))
    assert provider.counted == []
    assert [body["max_tokens"] for body in provider.bodies] == [4_000, 4_000]


def test_near_the_end_the_server_counts_and_the_reply_gets_what_is_left(provider: Provider, seat: Seat) -> None:
    provider.description, provider.counting = SMALL, counts(7_500)
    provider.will(says(LS), says(LS))
    agent = seat.take()
    agent.act(START)
    agent.act(result("x" * 12_000))
    (counted,) = provider.counted
    sent = provider.bodies[1]
    assert sent["max_tokens"] == 2_500
    assert [counted[name] for name in ("model", "system", "messages", "tools")] == [
        sent[name] for name in ("model", "system", "messages", "tools")
    ]


def test_a_count_that_leaves_room_changes_nothing(provider: Provider, seat: Seat) -> None:
    provider.description, provider.counting = SMALL, counts(6_000)
    provider.will(says(LS), says(LS))
    agent = seat.take()
    agent.act(START)
    agent.act(result("x" * 12_000))
    assert provider.bodies[1]["max_tokens"] == 4_000


def test_a_full_context_ends_the_episode_before_it_is_paid_for(provider: Provider, seat: Seat) -> None:
    provider.description, provider.counting = SMALL, counts(9_900)
    provider.will(says(LS))
    agent = seat.take()
    agent.act(START)
    with pytest.raises(AgentStop, match="context_exhausted: 100 tokens"):
        agent.act(result("x" * 20_000))
    assert len(provider.bodies) == 1


def test_the_text_protocol_leaves_old_turns_out_where_the_count_does_not_fit(provider: Provider, seat: Seat) -> None:
    told = iter([1_000, 1_000, 9_900])
    provider.description, provider.counting = SMALL, lambda handler: counts(next(told))(handler)
    provider.will(*[says("```bash\nls\n```")] * 4)
    agent = seat.take(protocol="text", max_tokens=8_000)
    agent.act(START)
    for letter in "xyz":
        agent.act(result(letter * 5_000))
    assert [len(body["messages"]) for body in provider.counted] == [3, 5, 7]
    assert [len(body["messages"]) for body in provider.bodies] == [1, 3, 5, 5]
    assert "z" * 100 in str(provider.bodies[-1]["messages"])


@pytest.mark.parametrize("answer", [status(404), status(429), status(500), counts("many"), counts(-1)])
def test_without_a_count_the_server_itself_says_whether_it_fits(provider: Provider, seat: Seat, answer: object) -> None:
    provider.description, provider.counting = SMALL, answer  # type: ignore[assignment]
    too_long = status(400, kind="invalid_request_error", message="prompt is too long: 12000 tokens > 10000 maximum")
    provider.will(says(LS), says(LS), too_long)
    agent = seat.take()
    agent.act(START)
    agent.act(result("x" * 12_000))
    with pytest.raises(AgentStop, match="context_exhausted: prompt is too long"):
        agent.act(result("x" * 12_000))
    assert seat.waits == []
