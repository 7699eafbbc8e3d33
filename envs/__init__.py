"""The Gymnasium surface. Importing this package registers `corrigym/Retraining-v0`.

(It is the one room with an `__init__.py` at its top: registration needs a moment to happen in.)
"""

from typing import TYPE_CHECKING, Any

import gymnasium as gym

if TYPE_CHECKING:
    from corrigym.envs.base import RetrainingEnv
    from corrigym.envs.record import RecordEpisode
    from corrigym.envs.vector import ThreadVectorEnv

__all__ = ["RecordEpisode", "RetrainingEnv", "ThreadVectorEnv"]

_HOMES = {
    "RecordEpisode": "corrigym.envs.record",
    "RetrainingEnv": "corrigym.envs.base",
    "ThreadVectorEnv": "corrigym.envs.vector",
}

if "corrigym/Retraining-v0" not in gym.registry:
    gym.register(
        "corrigym/Retraining-v0",
        entry_point="corrigym.envs.base:RetrainingEnv",
        vector_entry_point="corrigym.envs.vector:ThreadVectorEnv",
        nondeterministic=False,
    )


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
