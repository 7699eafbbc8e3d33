"""Whole episodes against a provider that misbehaves: how each ends, that its log verifies, that nothing counts twice.

All cases of both APIs play at once, in one run, each against answers of its own.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from corrigym.agents.anthropic_client import AnthropicProvider
from corrigym.agents.chat_client import ChatProvider
from corrigym.agents.limiter import Limiter
from corrigym.agents.model_agent import ModelAgent
from corrigym.agents.options import PLACEHOLDER, Endpoint, ModelOptions
from corrigym.agents.prices import Price
from corrigym.agents.retries import RetryPolicy
from corrigym.episodes.events import Call, EpisodeEnded, Event, Message, Result
from corrigym.episodes.log import read_events, verify_episode
from corrigym.episodes.runs import RunFolder
from corrigym.sandbox.launchers import choose_launcher
from corrigym.scenarios.loader import load_scenario
from corrigym.scenarios.world import World
from corrigym.studies.accounts import account_of
from corrigym.studies.runner import Planned, run_episodes
from tests.agents.provider import (
    Answer,
    Provider,
    chats,
    completion,
    events,
    function,
    plain,
    says,
    serving,
    status,
    stream,
    use,
)

APIS = ("messages", "chat")
LONG = "word " * 100_000
BUSY = status(429, {"retry-after": "1"})


def calling(api: str, *calls: tuple[str, str, dict[str, Any]], more: "dict[str, Any] | None" = None) -> Answer:
    """A reply with these calls (id, tool, arguments), and `more` unknown things in it."""
    if api == "chat":
        made = [function(*call, **(more or {})) for call in calls]
        return chats({"content": None, "tool_calls": made, **(more or {})})
    unknown = [{"type": "new_block", **more}] if more else []
    return says(*unknown, *[use(*call, **(more or {})) for call in calls])


def saying(api: str, said: str, **ending: Any) -> Answer:
    return chats({"content": said}, ending.get("finish")) if api == "chat" else says(said)


def refusing(api: str) -> Answer:
    details = {"type": "refusal", "category": "frontier_llm", "explanation": "It looks like training."}
    return chats({"refusal": "No."}) if api == "chat" else says(stop_reason="refusal", stop_details=details)


def broken(api: str, how: str) -> Answer:
    """A good reply, spoilt on its way."""
    whole = [json.dumps(completion({"tool_calls": [function("c", "bash", {"command": "rm x"})]})).encode()]
    parts = events([use("c", "bash", {"command": "rm x"})]) if api == "messages" else [whole[0][:99], whole[0][99:]]
    body = b"".join(parts)
    match how:
        case "reset":
            return stream(parts[:-1], length=len(body), reset=True)
        case "truncated":
            return stream(parts[:-1], length=len(body))
        case "malformed":
            return stream([*parts[:-1], b"event: content_block_delta\ndata: {not json\n\n"])
    raise ValueError(how)


def listing(api: str, id: str = "t1") -> Answer:
    return calling(api, (id, "bash", {"command": "ls /srv"}))


def submitting(api: str) -> Answer:
    return calling(api, ("t9", "submit", {"answer": "done"}))


@dataclass(frozen=True)
class Case:
    """What the server answers, and how the episode ends: status, reason, tool calls, replies that count."""

    answers: Callable[[str], list[Answer]]
    status: str = "finished"
    reason: str = "submitted"
    calls: int = 2
    replies: int = 2


def after(*first: Answer) -> Callable[[str], list[Answer]]:
    """These answers, then a listing and the report."""
    return lambda api: [*first, listing(api), submitting(api)]


CASES: dict[str, Case] = {
    "well": Case(after()),
    "429": Case(after(status(429), status(429))),
    "429-retry-after": Case(after(BUSY, BUSY, BUSY)),
    "529": Case(after(status(529))),
    "500": Case(after(status(500))),
    "500-for-ever": Case(lambda _: [status(500)] * 6, "error", "AgentError", 0, 0),
    "401": Case(after(status(401)), "error", "AgentError", 0, 0),
    "413": Case(lambda api: [listing(api), status(413)], "finished", "context_exhausted", 1, 1),
    "reset": Case(lambda api: [broken(api, "reset"), listing(api), submitting(api)]),
    "truncated": Case(lambda api: [broken(api, "truncated"), listing(api), submitting(api)]),
    "malformed": Case(lambda api: [broken(api, "malformed"), listing(api), submitting(api)]),
    "page": Case(after(plain(b"<html>Bad gateway</html>"))),
    "unknown": Case(lambda api: [calling(api, ("t1", "bash", {"command": "ls"}), more={"new": 1}), submitting(api)]),
    "parallel": Case(
        lambda api: [calling(api, *[(f"t{n}", "bash", {"command": "ls"}) for n in range(3)]), submitting(api)], calls=4
    ),
    "equal-ids": Case(
        lambda api: [calling(api, *[("t1", "bash", {"command": "ls"})] * 2), listing(api), submitting(api)],
        calls=4, replies=3,
    ),
    "empty": Case(lambda api: [saying(api, ""), *after()(api)], replies=3),
    "silent": Case(lambda api: [saying(api, "")] * 4, reason="no_tool_call", calls=0, replies=4),
    "refusal": Case(lambda api: [listing(api), refusing(api)], reason="refused", calls=1),
    "long": Case(lambda api: [saying(api, LONG), *after()(api)], replies=3),
    "wrong-arguments": Case(lambda api: [calling(api, ("t1", "bash", {"cmd": "ls"})), submitting(api)]),
}  # fmt: skip


def agent_for(provider: Provider, api: str, name: str, _: World) -> ModelAgent:
    options = ModelOptions(model="m", protocol="native")
    policy = RetryPolicy(sleep=lambda _: None, jitter=lambda: 0.0)
    base = f"{provider.url}/{name}"
    if api == "chat":
        endpoint = Endpoint(f"{base}/v1", PLACEHOLDER)
        return ModelAgent("m", options, lambda: ChatProvider(options, endpoint), policy=policy, limiter=Limiter())
    endpoint = Endpoint(base, PLACEHOLDER)
    return ModelAgent("m", options, lambda: AnthropicProvider(options, endpoint), policy=policy, limiter=Limiter())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunFolder, dict[str, str]]]:
    """The folder of the run, and the status of each episode."""
    scenario = load_scenario("weight-custody")
    folder = RunFolder.create(tmp_path_factory.mktemp("runs"), "misbehaving", {})
    with serving() as provider:
        planned = []
        for api in APIS:
            for name, case in CASES.items():
                key = f"{api}-{name}"
                provider.scripts[key] = deque(case.answers(api))
                factory = partial(agent_for, provider, api, key)
                planned.append(Planned(key, scenario, {}, 0, 0, "m", factory))
        launcher = choose_launcher("bubblewrap", print)
        outcomes = run_episodes(planned, launcher=launcher, folder=folder, max_sandboxes=6)
        yield folder, {outcome.planned.id: outcome.status for outcome in outcomes}


def of_type(kind: type[Any], log: list[Event]) -> list[Any]:
    return [event.payload for event in log if isinstance(event.payload, kind)]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("api", APIS)
def test_an_episode_ends_as_documented(run: tuple[RunFolder, dict[str, str]], api: str, name: str) -> None:
    folder, statuses = run
    case, path = CASES[name], folder.path / "episodes" / f"{api}-{name}.jsonl"
    log = list(read_events(path))
    (ended,) = of_type(EpisodeEnded, log)
    assert (statuses[path.stem], ended.status, ended.reason) == (case.status, case.status, case.reason)
    checked = verify_episode(path)
    assert (checked.problems, checked.complete) == ([], True)
    assert len(of_type(Call, log)) == len(of_type(Result, log)) == ended.steps == case.calls
    replies = [message for message in of_type(Message, log) if message.role == "assistant"]
    assert len(replies) == case.replies
    account = account_of(path, Price(input=1, output=1))
    assert (account.usage.prompt, account.usage.output) == (11 * case.replies, 23 * case.replies)
    assert not any("rm x" in str(call.arguments) for call in of_type(Call, log))


@pytest.mark.slow
def test_the_folder_knows_all_of_them(run: tuple[RunFolder, dict[str, str]]) -> None:
    folder, statuses = run
    assert len(statuses) == len(folder.index()) == len(CASES) * len(APIS)
