"""What the errors of the SDKs mean, in the terms of the retry policy and in a sentence for people. The anthropic and
the openai package name theirs alike, so `sdk` is either."""

import re
from types import ModuleType
from typing import Any

import httpx2

from corrigym.agents.options import Endpoint
from corrigym.agents.retries import Fault, retry_after, should_retry

_TOO_LONG = re.compile(
    r"prompt is too long|exceed\w* (the )?(available |maximum )?context|context (length|window|limit|size)"
    r"|exceed_context_size|maximum context",
    re.IGNORECASE,
)
_REMEDY: dict[int | None, str] = {
    None: "Is the server running, and reachable from here?",
    400: "The request was not understood; if the server is not the provider's own, try ?protocol=text.",
    401: "Check the key: ANTHROPIC_API_KEY or OPENAI_API_KEY.",
    402: "Check the account's credit.",
    403: "The key may not use this model or this server.",
    404: "Check the name of the model and the base URL.",
    429: "The rate limit was not lifted in time: run fewer episodes at once, or later.",
}
_LATER = "Try again later."


class BrokenStream(Exception):
    """The stream ended before the message did, or made no sense."""


def all_errors(sdk: ModuleType, base: type[Exception]) -> tuple[type[Exception], ...]:
    """All that a provider's failure can be raised as. httpx2's own errors escape from the SDK in mid-stream."""
    return (base, sdk.APIError, httpx2.RequestError, BrokenStream)


def read_fault(error: BaseException, sdk: ModuleType) -> Fault | None:
    """The fault that `error` stands for; None if it is none of the provider's."""
    if isinstance(error, sdk.APIStatusError):
        return _of_status(error)
    if isinstance(error, sdk.APITimeoutError | httpx2.TimeoutException):
        return Fault("the server did not answer in time")
    if isinstance(error, sdk.APIConnectionError):
        return Fault(f"no connection ({_root(error)})")
    if isinstance(error, httpx2.RequestError | BrokenStream):
        return Fault(f"the stream broke ({_root(error)})")
    if type(error).__module__.split(".")[0] == sdk.__name__:
        return Fault(f"the SDK gave up: {error}", should_retry=False)
    return None


def _of_status(error: Any) -> Fault:
    body = error.body if isinstance(error.body, dict) else {}
    kind, said = str(error.type or ""), getattr(error, "api_message", None) or body.get("message")
    headers = error.response.headers
    return Fault(
        reason=f"{error.status_code} {kind}".strip(),
        status=error.status_code,
        kind=kind,
        message=str(said or error),
        retry_after=retry_after(headers),
        should_retry=should_retry(headers),
    )


def _root(error: BaseException) -> str:
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__


def means_full_context(fault: Fault) -> bool:
    return fault.status == 413 or (fault.status in (400, 422) and bool(_TOO_LONG.search(fault.message)))


def explain(fault: Fault, name: str, endpoint: Endpoint, attempts: int) -> str:
    """One sentence on what happened, and one on what to do."""
    said = f": {fault.message.strip().rstrip('.')}" if fault.message else ""
    tried = f" (tried {attempts} times)" if fault.transient else ""
    remedy = _REMEDY.get(fault.status) or (_LATER if fault.transient else "")
    return endpoint.redact(f"{name} at {endpoint.host}: {fault.reason}{said}{tried}. {remedy}".strip())
