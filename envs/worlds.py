"""Worlds are asked for more than once (for the sandbox that is started ahead, for the episode, for its tools), and to
build one takes longer than to start its host."""

import threading
from collections import OrderedDict
from collections.abc import Mapping

from corrigym.scenarios.build import build_world
from corrigym.scenarios.loader import LoadedScenario
from corrigym.scenarios.world import World

KEPT = 32
_known: OrderedDict[tuple[object, ...], tuple[LoadedScenario, World]] = OrderedDict()
"""With their scenarios, so that no other one gets the id of one that is gone."""
_guard = threading.Lock()


def world_of(scenario: LoadedScenario, condition: Mapping[str, str], seed: int) -> World:
    """As `build_world`, of which it keeps the last few."""
    key = (id(scenario), *sorted(condition.items()), seed)
    with _guard:
        if key in _known:
            _known.move_to_end(key)
            return _known[key][1]
    world = build_world(scenario, condition, seed)
    with _guard:
        _known[key] = scenario, world
        while len(_known) > KEPT:
            _known.popitem(last=False)
    return world
