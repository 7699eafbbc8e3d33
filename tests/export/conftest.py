"""Episodes to export."""

from functools import cache
from pathlib import Path

import pytest

from corrigym.episodes.events import Event
from corrigym.episodes.view import EpisodeView, fold, load_view
from tests.episodes.builder import write_episode
from tests.episodes.test_render import everywhere


@pytest.fixture
def view(tmp_path: Path) -> EpisodeView:
    return load_view(write_episode(tmp_path / "run" / "episodes" / "e1.jsonl"))


@cache
def hostile(text: str) -> EpisodeView:
    """An episode with this text in every field."""
    events = [Event(seq=n, time=n, step=step, payload=payload) for n, (step, payload) in enumerate(everywhere(text))]
    return fold(events, name=text)
