"""What plays the episodes of a study: threads of this process, or a Ray cluster."""

from collections.abc import Iterator
from contextlib import contextmanager

from corrigym.errors import UsageError, did_you_mean
from corrigym.studies.runner import Play, play_episode

ENGINES = ("threads", "ray")


@contextmanager
def choose_engine(name: str, sandbox: str) -> Iterator[Play]:
    """`sandbox`: where episodes run, for an engine whose nodes choose for themselves. UsageError for a name that means
    nothing, or an engine that is not there."""
    if name == "threads":
        yield play_episode
    elif name == "ray":
        from corrigym.studies.ray_engine import ray_engine

        with ray_engine(sandbox) as play:
            yield play
    else:
        raise UsageError(f"there is no engine {name!r}.{did_you_mean(name, ENGINES)}")
