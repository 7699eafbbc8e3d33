"""What plays the episodes of a study: threads of this process, or a Ray cluster."""

from collections.abc import Iterator
from contextlib import contextmanager

from corrigym.errors import UsageError, did_you_mean
from corrigym.studies.runner import Play, play_episode

ENGINES = ("threads",)


@contextmanager
def choose_engine(name: str) -> Iterator[Play]:
    """UsageError for a name that means nothing."""
    if name != "threads":
        raise UsageError(f"there is no engine {name!r}.{did_you_mean(name, ENGINES)}")
    yield play_episode
