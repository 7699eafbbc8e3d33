"""A vector environment that steps its environments in threads: the work is waiting for sandboxes, not computing."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import iterate

from corrigym.envs.base import RetrainingEnv


class _Ahead(gym.Wrapper[Any, Any, Any, Any]):
    """While a step or reset of it is under way in a thread, its own `step` or `reset` returns what that brings."""

    pending: Future[Any] | None = None

    def step(self, action: Any) -> Any:
        return self._taken() if self.pending else self.env.step(action)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return self._taken() if self.pending else self.env.reset(seed=seed, options=options)

    def _taken(self) -> Any:
        assert self.pending is not None
        pending, self.pending = self.pending, None
        return pending.result()


class ThreadVectorEnv(SyncVectorEnv):
    """What `gym.make_vec("corrigym/Retraining-v0", num_envs=N, vectorization_mode="vector_entry_point")` makes."""

    def __init__(
        self,
        num_envs: int = 1,
        *,
        env_fns: Sequence[Callable[[], gym.Env[Any, Any]]] | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        **kwargs: Any,
    ) -> None:
        """`env_fns`, or `num_envs` environments made with `kwargs` (those of RetrainingEnv)."""
        makers = env_fns or [lambda: RetrainingEnv(**kwargs) for _ in range(num_envs)]
        super().__init__([lambda make=make: _Ahead(make()) for make in makers], autoreset_mode=autoreset_mode)  # type: ignore[misc]
        self._pool = ThreadPoolExecutor(max_workers=self.num_envs, thread_name_prefix="env")

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        seeds: list[int | None]
        if isinstance(seed, list):
            seeds = seed
        else:
            seeds = [None if seed is None else seed + index for index in range(self.num_envs)]
        chosen = (options or {}).get("reset_mask", [True] * self.num_envs)
        for env, one, wanted in zip(self.envs, seeds, chosen, strict=True):
            if wanted:
                self._begin(env, "reset", seed=one, options=_own(options))
        return super().reset(seed=seeds, options=options)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        for env, action, over in zip(self.envs, iterate(self.action_space, actions), self._autoreset_envs, strict=True):
            if over and self.autoreset_mode == AutoresetMode.NEXT_STEP:
                self._begin(env, "reset")
            else:
                self._begin(env, "step", action)
        return super().step(actions)

    def close_extras(self, **kwargs: Any) -> None:
        self._pool.shutdown(wait=True)
        super().close_extras(**kwargs)

    def _begin(self, env: gym.Env[Any, Any], method: str, *args: Any, **kwargs: Any) -> None:
        assert isinstance(env, _Ahead)
        env.pending = self._pool.submit(getattr(env.env, method), *args, **kwargs)


def _own(options: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if options is None else {key: value for key, value in options.items() if key != "reset_mask"}
