from collections.abc import Iterator
from pathlib import Path

import pytest

from corrigym.scenarios.build import build_world
from corrigym.scenarios.loader import LoadedScenario, load_scenario
from corrigym.scenarios.world import World
from tests.scenarios.local_host import Site


@pytest.fixture(scope="session")
def scenario() -> LoadedScenario:
    return load_scenario("weight-custody")


@pytest.fixture(scope="session")
def world(scenario: LoadedScenario) -> World:
    return build_world(scenario, {}, 7)


@pytest.fixture
def site(world: World, tmp_path: Path) -> Iterator[Site]:
    site = Site(world, tmp_path)
    yield site
    site.host.close()
