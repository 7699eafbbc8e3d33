"""How many requests are under way at once, over all agents."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from corrigym.agents.limiter import Limiter
from corrigym.agents.retries import Fault
from corrigym.episodes.events import Payload, Wait
from tests.agents.provider import Provider, says, status, use
from tests.agents.seat import Seat, bash, observation

LS = use("toolu_1", "bash", {"command": "ls"})


class Failure(Exception):
    pass


class Source:
    """As much of a provider as the limiter sees: how its errors are read."""

    errors = (Failure,)

    def read_fault(self, error: BaseException) -> Fault | None:
        return Fault("no", status=int(str(error)))


def ask(limiter: Limiter, code: int = 200, record: "list[Payload] | None" = None) -> None:
    def request() -> None:
        if code != 200:
            raise Failure(code)

    limiter.attempt(request, Source(), record=(record if record is not None else []).append)


@pytest.mark.parametrize("code", [429, 529])
def test_overload_halves_the_room_and_success_gives_it_back_by_ones(code: int) -> None:
    now = [0.0]
    limiter = Limiter(8, clock=lambda: now[0])
    limiter._under_way = 7  # as if seven others were under way
    now[0] += 1
    with pytest.raises(Failure):
        ask(limiter, code)
    assert limiter.room == 4
    limiter._under_way = 0
    ask(limiter)
    assert limiter.room == 5
    for _ in range(10):
        ask(limiter)
    assert limiter.room == 8


@pytest.mark.parametrize("code", [401, 500, 503])
def test_other_faults_leave_it_alone(code: int) -> None:
    limiter = Limiter(8)
    with pytest.raises(Failure):
        ask(limiter, code)
    assert limiter.room == 8


def test_requests_that_met_the_same_overload_count_once_and_one_is_always_let_through() -> None:
    limiter, together = Limiter(64), threading.Barrier(16)

    def overloaded() -> None:
        together.wait(10)
        raise Failure(429)

    def run(_: int) -> None:
        with pytest.raises(Failure):
            limiter.attempt(overloaded, Source(), record=lambda _: None)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(run, range(16)))
    assert 1 <= limiter.room <= 8
    for _ in range(20):
        with pytest.raises(Failure):
            ask(limiter, 529)
    assert limiter.room == 1


def test_a_wait_for_a_place_is_recorded() -> None:
    limiter, entered, leave = Limiter(1), threading.Event(), threading.Event()
    seen: list[Payload] = []

    def hold() -> None:
        entered.set()
        leave.wait(10)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(limiter.attempt, hold, Source(), record=seen.append)
        entered.wait(10)
        second = pool.submit(ask, limiter, 200, seen)
        threading.Timer(0.1, leave.set).start()
        first.result()
        second.result()
    (wait,) = seen
    assert isinstance(wait, Wait)
    assert (wait.reason, wait.attempt) == ("at most 1 requests at once", 0)
    assert 0.05 < wait.seconds < 5


def test_an_overloaded_provider_makes_room_smaller_for_all(provider: Provider, seat: Seat) -> None:
    provider.will(status(529), says(LS))
    agent = seat.take()
    assert agent.act(observation()) == bash("ls")
    assert agent._limiter.room < 256
