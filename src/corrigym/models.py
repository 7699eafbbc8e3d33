"""The one configuration of the pydantic models at corrigym's edges (files, wire, log)."""

from typing import TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue

Json: TypeAlias = JsonValue


class Model(BaseModel):
    """A value: frozen, and refusing keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")
