"""Keys come from the environment, go to the server, and are nowhere else, whatever a provider repeats."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corrigym.agents.base import AgentStop
from corrigym.agents.options import Endpoint
from corrigym.errors import AgentError
from tests.agents.provider import Provider, chats, function, says, status, text, use
from tests.agents.seat import Seat, observation, result

KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=40)
PLACES = st.sampled_from(["text", "thought", "call", "unknown field", "id", "error", "refusal"])


def echo(api: str, place: str, key: str) -> Any:
    """An answer that repeats the key there."""
    said = f"the key is {key}, is it not"
    command = {"command": f"echo {said}" if place == "call" else "ls"}
    words, more = said if place in ("text", "thought") else "Hm.", {"new": {said: [said]}} if "field" in place else {}
    id = said if place == "id" else "t1"
    if place == "error":
        return status(400, message=said)
    if api == "chat":
        if place == "refusal":
            return chats({"refusal": said})
        call = function(id, "bash", command, **more)
        return chats({"content": words, "reasoning_content": words, "tool_calls": [call], **more})
    if place == "refusal":
        return says(stop_reason="refusal", stop_details={"type": "refusal", "category": None, "explanation": said})
    thought = {"type": "thinking", "thinking": words, "signature": "c2ln", **more}
    return says(thought, text(words, **more), use(id, "bash", command, **more))


@pytest.mark.parametrize("api", ["messages", "chat"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=KEYS, place=PLACES)
def test_a_key_that_is_repeated_is_redacted_everywhere(
    provider: Provider, seat: Seat, monkeypatch: pytest.MonkeyPatch, api: str, key: str, place: str
) -> None:
    provider.clear()
    provider.will(echo(api, place, key), echo(api, place, key))
    monkeypatch.setenv("OPENAI_API_KEY" if api == "chat" else "ANTHROPIC_API_KEY", key)
    agent = seat.take_chat() if api == "chat" else seat.take()
    told: list[Any] = []
    try:
        told += [agent.act(observation()).model_dump_json(), agent.act(result("a")).model_dump_json()]
    except (AgentError, AgentStop) as error:
        told += [str(error), repr(error), repr(vars(error))]
    seen = "".join([*told, *(event.model_dump_json() for event in seat.recorded), repr(vars(agent))])
    assert any(key in value for value in provider.requests[0].headers.values())
    assert key not in seen
    assert json.dumps(key)[1:-1] not in seen
    seat.close()


def test_an_endpoint_does_not_show_its_keys() -> None:
    shown = repr(Endpoint("https://example.org", "sk-secret-1", "sk-secret-2"))
    assert "secret" not in shown
