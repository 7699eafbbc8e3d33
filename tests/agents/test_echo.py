"""What the model sent goes back as it was: an edited thinking block ends the conversation, a lost field the cache."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.agents.provider import Provider, chats, function, says, text, thinking, use
from tests.agents.seat import Seat, observation, result

NAMES = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=9, max_size=16).map(lambda name: f"new_{name}")
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
MORE = st.dictionaries(NAMES, JSON, max_size=2)
SPOKEN = st.text(min_size=1).filter(str.strip)


def with_more(block: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return block | more


TEXTS = st.builds(with_more, SPOKEN.map(text), MORE)
THOUGHTS = st.builds(with_more, st.builds(thinking, st.text(), st.text(min_size=1)), MORE)
REDACTED = st.builds(lambda data, more: {"type": "redacted_thinking", "data": data, **more}, st.text(), MORE)
UNKNOWN = st.builds(lambda name, more: {"type": name, **more}, NAMES, MORE)
CALLS = st.builds(
    lambda id, given, more: use(f"toolu_{id}", "bash", given) | more,
    st.integers(0, 9999),
    st.dictionaries(st.text(), JSON, max_size=3),
    MORE,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TEXTS | THOUGHTS | REDACTED | UNKNOWN, max_size=4), st.lists(CALLS, min_size=1, max_size=3))
def test_every_block_and_every_unknown_field_comes_back(
    provider: Provider, seat: Seat, blocks: list[dict[str, Any]], calls: list[dict[str, Any]]
) -> None:
    provider.clear()
    provider.will(says(*blocks, *calls), says(use("toolu_end", "submit", {"report": "done"})))
    agent = seat.take()
    for place, call in enumerate(calls):
        made = agent.act(observation() if place == 0 else result("ok"))
        assert made.arguments == call["input"]
    agent.act(result("ok"))
    assert provider.bodies[1]["messages"][1] == {"role": "assistant", "content": [*blocks, *calls]}
    assert seat.messages[0].raw == [*blocks, *calls]
    answered = [block["tool_use_id"] for block in provider.bodies[1]["messages"][2]["content"]]
    assert answered == [call["id"] for call in calls]
    seat.close()


FUNCTIONS = st.builds(
    lambda id, given, more: function(f"call_{id}", "bash", given) | more,
    st.integers(0, 9999),
    st.dictionaries(st.text(), JSON, max_size=3),
    MORE,
)
CHAT = st.builds(
    lambda content, reasoning, more: {"content": content, **reasoning, **more},
    st.none() | st.text(),
    st.dictionaries(st.sampled_from(["reasoning_content", "reasoning", "reasoning_details"]), st.text(), max_size=2),
    MORE,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHAT, st.lists(FUNCTIONS, min_size=1, max_size=3))
def test_every_field_of_a_chat_message_comes_back(
    provider: Provider, seat: Seat, message: dict[str, Any], calls: list[dict[str, Any]]
) -> None:
    provider.clear()
    sent = {"role": "assistant", **message, "tool_calls": calls}
    end = function("call_end", "submit", {"report": "done"})
    provider.will(chats(sent), chats({"content": None, "tool_calls": [end]}))
    agent = seat.take_chat()
    for place in range(len(calls)):
        agent.act(observation() if place == 0 else result("ok"))
    agent.act(result("ok"))
    assert provider.bodies[1]["messages"][2] == sent
    assert seat.messages[0].raw == [sent]
    assert [said["tool_call_id"] for said in provider.bodies[1]["messages"][3:]] == [call["id"] for call in calls]
    seat.close()
