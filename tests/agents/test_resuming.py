"""A study whose provider fails for good, or that is stopped while it waits for it, goes on with a new attempt."""

import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from corrigym.agents.prices import Price
from corrigym.agents.shared import Shared
from corrigym.episodes.events import Call, EpisodeEnded
from corrigym.episodes.log import read_events, verify_episode
from corrigym.episodes.runs import RunFolder
from corrigym.sandbox.launchers import choose_launcher
from corrigym.studies.accounts import account_of
from corrigym.studies.attempts import standings
from corrigym.studies.campaign import Work, create
from corrigym.studies.loading import load_study
from corrigym.studies.planning import StudyPlan, make_plan
from corrigym.studies.runner import Outcome, run_episodes
from tests.agents.provider import Provider, plain, serving, status
from tests.agents.test_episodes import agent_for, broken, listing, submitting

pytestmark = pytest.mark.slow
FAULTS = {
    "401": status(401), "429": status(429, {"retry-after": "1"}), "500": status(500), "529": status(529),
    "reset": broken("messages", "reset"), "truncated": broken("messages", "truncated"),
    "malformed": broken("messages", "malformed"), "page": plain(b"<html>Bad gateway</html>"),
}  # fmt: skip
STUDY = """\
schema_version: 1
name: misbehaving
scenarios: [weight-custody]
agents: [AGENTS]
worlds: 1
"""


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving() as provider:
        yield provider


def plan_of(folder: Path, names: "list[str]") -> StudyPlan:
    """An agent for each name; `agent_for` puts one in its place whose provider answers to that name."""
    file = folder / "study.yaml"
    file.write_text(
        STUDY.replace("AGENTS", ", ".join(f"'anthropic/{name}?base_url=http://127.0.0.1'" for name in names))
    )
    return make_plan(load_study(file))


def go_on(plan: StudyPlan, run: RunFolder, provider: Provider, *, retry_errors: bool = False) -> list[Outcome]:
    work = Work(plan, run, Shared(), retry_errors=retry_errors)
    work.prepare()
    for index, cell in enumerate(plan.cells):
        work.factories[index] = partial(agent_for, provider, "messages", name_of(cell.agent))
    launcher = choose_launcher("bubblewrap", print)
    with work.runner() as runner:
        return run_episodes(work.claimed(runner), launcher=launcher, folder=run, max_sandboxes=4)


def name_of(agent: str) -> str:
    return agent.split("/")[1].split("?")[0]


def attempts(plan: StudyPlan, run: RunFolder) -> "dict[str, list[str]]":
    """The state of each attempt, by the name of its agent."""
    found = standings(run, (one.id for one in plan.episodes))
    return {name_of(plan.cells[one.cell].agent): [each.state for each in found[one.id].attempts]
            for one in plan.episodes}  # fmt: skip


def interrupt() -> None:
    """Ctrl-C: a signal, as only that wakes a main thread that waits."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def check_logs(run: RunFolder, calls: int) -> None:
    """Every log is whole; each finished one holds its own calls and replies, and none of the attempt before."""
    finished = 0
    for path in run.episodes():
        assert verify_episode(path).problems == []
        payloads = [event.payload for event in read_events(path)]
        if isinstance(payloads[-1], EpisodeEnded) and payloads[-1].status == "finished":
            finished += 1
            assert sum(isinstance(payload, Call) for payload in payloads) == calls
            assert account_of(path, Price(input=1, output=1)).usage.output == 23 * calls
    assert finished


def test_after_each_fault_that_lasts_the_episode_is_an_error_and_its_retry_finishes(
    provider: Provider, tmp_path: Path
) -> None:
    plan = plan_of(tmp_path, list(FAULTS))
    run = create(plan, tmp_path / "runs", {"versions": {}})
    for name, fault in FAULTS.items():
        provider.scripts[name] = deque([listing("messages"), *[fault] * 6])
    assert {one.status for one in go_on(plan, run, provider)} == {"error"}
    assert go_on(plan, run, provider) == [], "an error is not begun again unasked"
    for name in FAULTS:
        provider.scripts[name] = deque([listing("messages"), submitting("messages")])
    assert {one.status for one in go_on(plan, run, provider, retry_errors=True)} == {"finished"}
    assert attempts(plan, run) == {name: ["error", "finished"] for name in FAULTS}
    assert go_on(plan, run, provider, retry_errors=True) == []
    check_logs(run, calls=2)


def test_what_was_stopped_while_it_waited_for_the_provider_is_begun_again_by_itself(
    provider: Provider, tmp_path: Path
) -> None:
    names, both = ["one", "two"], threading.Barrier(2, action=interrupt)
    plan = plan_of(tmp_path, names)
    run = create(plan, tmp_path / "runs", {"versions": {}})

    def never(_: BaseHTTPRequestHandler) -> None:
        both.wait(60)
        time.sleep(4)  # until the run is being stopped, and has killed the hosts

    for name in names:
        provider.scripts[name] = deque([listing("messages"), never])
    with pytest.raises(KeyboardInterrupt):
        go_on(plan, run, provider)
    for name in names:
        provider.scripts[name] = deque([listing("messages"), submitting("messages")])
    assert {one.status for one in go_on(plan, run, provider)} == {"finished"}
    assert attempts(plan, run) == {name: ["interrupted", "finished"] for name in names}
    check_logs(run, calls=2)
