"""The one policy on a provider's faults: what is tried again, after how long, and how that is told."""

import email.utils
import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from corrigym.episodes.events import Payload, Wait

T = TypeVar("T")
ATTEMPTS = 6
LONGEST_WAIT = 60.0
"""Seconds: a longer retry-after is cut to this."""
RETRIED = frozenset({408, 409, 429})
NEVER_RETRIED = frozenset({400, 401, 402, 403, 404, 413})
"""Not even where `x-should-retry` asks for it: the same request would meet the same answer."""
TRANSIENT_KINDS = frozenset({"rate_limit_error", "timeout_error", "api_error", "overloaded_error"})
"""What a provider calls, inside a stream that began with status 200, what would have been a 429, 5xx or 529."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong with a request. Without `status` no answer arrived, or not a whole one."""

    reason: str
    status: int | None = None
    kind: str = ""
    message: str = ""
    retry_after: float | None = None
    should_retry: bool | None = None

    @property
    def transient(self) -> bool:
        if self.status in NEVER_RETRIED:
            return False
        if self.should_retry is not None:
            return self.should_retry
        if self.status is None:
            return True
        return self.status in RETRIED or self.status >= 500 or (self.status < 300 and self.kind in TRANSIENT_KINDS)

    def rejects(self, name: str) -> bool:
        """Whether the server could not take the part of the request that is called `name`."""
        return self.status in (400, 422, 500, 501) and name in self.message


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`sleep` and `jitter` can be replaced, so that a test waits for nothing."""

    attempts: int = ATTEMPTS
    longest: float = LONGEST_WAIT
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def wait(self, fault: Fault, attempt: int) -> float:
        asked = 2.0 ** (attempt - 1) if fault.retry_after is None else fault.retry_after
        return min(asked, self.longest) + self.jitter()


def call(
    function: Callable[[], T],
    *,
    read: Callable[[BaseException], Fault | None],
    record: Callable[[Payload], None],
    policy: RetryPolicy,
) -> T:
    """What `function` returns, tried again as the policy says; every wait is recorded. At the end the last error is
    raised as it is. `read` tells an error of the provider (a Fault) from any other (None)."""

    def retriable(error: BaseException) -> bool:
        fault = read(error)
        return fault is not None and fault.transient

    def wait(state: RetryCallState) -> float:
        return policy.wait(_fault(state, read), state.attempt_number)

    def before_sleep(state: RetryCallState) -> None:
        assert state.next_action is not None
        reason = _fault(state, read).reason
        record(Wait(seconds=round(state.next_action.sleep, 3), reason=reason, attempt=state.attempt_number))

    retrying = Retrying(
        stop=stop_after_attempt(policy.attempts),
        retry=retry_if_exception(retriable),
        wait=wait,
        sleep=policy.sleep,
        before_sleep=before_sleep,
        reraise=True,
    )
    return retrying(function)


def _fault(state: RetryCallState, read: Callable[[BaseException], Fault | None]) -> Fault:
    error = state.outcome.exception() if state.outcome else None
    fault = read(error) if error else None
    assert fault is not None, "only faults are retried"
    return fault


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks for: `retry-after-ms`, or `retry-after` as seconds or as a date."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is None and value and (date := email.utils.parsedate_tz(value)):
        seconds = email.utils.mktime_tz(date) - time.time()
    return None if seconds is None else max(0.0, seconds)


def should_retry(headers: Mapping[str, str]) -> bool | None:
    return {"true": True, "false": False}.get(headers.get("x-should-retry", ""))


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return None if math.isnan(number) else number
