"""Where a model is and how it is to be spoken to: SPEC options and environment variables. Keys come from the
environment only, and are never shown."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, ValidationError

from corrigym.errors import UsageError, did_you_mean
from corrigym.models import Model

LOOPBACK = ("localhost", "127.0.0.1", "::1")
REDACTED = "[key]"
PLACEHOLDER = "none"
"""Sent to a server on this machine when no key is set: the SDK insists on one."""


@dataclass(frozen=True, slots=True)
class Service:
    """A kind of API: where it officially is, and the environment variables that hold another address, and the keys."""

    kind: str
    official: str
    url_variable: str
    key_variable: str
    token_variable: str | None = None

    @property
    def variables(self) -> tuple[str, ...]:
        return (self.key_variable, self.token_variable) if self.token_variable else (self.key_variable,)


ANTHROPIC = Service(
    "anthropic", "https://api.anthropic.com", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"
)
OPENAI = Service("openai", "https://api.openai.com/v1", "OPENAI_BASE_URL", "OPENAI_API_KEY")
Reasoning = Literal["none", "native", "scratchpad"]


class ModelOptions(Model):
    """`anthropic/MODEL?base_url=...&max_tokens=...&protocol=...&context=...&reasoning=...`"""

    model: str
    base_url: str | None = None
    max_tokens: int | None = Field(default=None, gt=0)
    protocol: Literal["auto", "native", "text"] = "auto"
    context: int | None = Field(default=None, ge=512)
    """Tokens of the model's context, where the server does not tell; bounds the history of the text protocol."""
    reasoning: Reasoning = "native"
    """Where the model thinks: nowhere, in the provider's own way if it has one, or in a private scratchpad."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server, and what it asks for."""

    base_url: str
    api_key: str | None = field(default=None, repr=False)
    auth_token: str | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).netloc

    @property
    def official(self) -> bool:
        return f".{urlsplit(self.base_url).hostname}".endswith((".anthropic.com", ".openai.com"))

    @property
    def loopback(self) -> bool:
        return urlsplit(self.base_url).hostname in LOOPBACK

    def redact(self, text: str) -> str:
        """`text` without the key, in case the provider repeats it."""
        for key in (self.api_key, self.auth_token):
            if key and key != PLACEHOLDER:
                text = text.replace(json.dumps(key)[1:-1], REDACTED).replace(key, REDACTED)
        return text


def parse_options(model: str, query: str, service: Service = ANTHROPIC) -> ModelOptions:
    """UsageError for an option that does not exist or a value that does not fit."""
    allowed = [name for name in ModelOptions.model_fields if name != "model"]
    spec = f"{service.kind}/{model}"
    if not model:
        raise UsageError(f"{spec} needs the name of a model: {spec}MODEL.")
    given = dict(parse_qsl(query, keep_blank_values=True))
    for name in given:
        if name not in allowed:
            raise UsageError(f"{spec} has no option {name!r}.{did_you_mean(name, allowed)}")
    try:
        options = ModelOptions.model_validate({"model": model, **given})
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise UsageError(f"{spec}: {where}={problem['input']}: {problem['msg']}.") from None
    if options.base_url is not None:
        _check_url(options.base_url, "the option base_url", service)
    return options


def find_endpoint(
    options: ModelOptions, environ: Mapping[str, str] = os.environ, *, service: Service = ANTHROPIC
) -> Endpoint:
    """The server that `options` and the environment name; UsageError if it needs a key and there is none."""
    base_url = options.base_url or environ.get(service.url_variable) or service.official
    _check_url(base_url, service.url_variable, service)
    api_key = environ.get(service.key_variable) or None
    token = None if api_key or not service.token_variable else environ.get(service.token_variable) or None
    endpoint = Endpoint(base_url, api_key, token)
    if api_key or token:
        return endpoint
    if endpoint.loopback:
        return Endpoint(base_url, PLACEHOLDER)
    raise UsageError(
        f"{service.kind}/{options.model} needs a key for {endpoint.host}, and {' or '.join(service.variables)} is not"
        " set. Set it (to any word, if that server asks for none), or name a server on this machine by"
        f" {service.url_variable}=http://127.0.0.1:PORT."
    )


def _check_url(url: str, origin: str, service: Service) -> None:
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise UsageError(f"{origin} holds a user name or password: keys belong into {service.key_variable}.")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{origin} is {url!r}, which is no http:// or https:// address.")
