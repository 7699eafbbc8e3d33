"""Scenarios that other packages bring, by entry point."""

from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from corrigym.errors import UsageError

GROUP = "corrigym.scenarios"
"""An entry point's name is the pack's; its value is a package whose folder holds the scenarios' folders."""


def pack_scenarios() -> dict[str, Path]:
    """`PACK/ID` -> scenario.yaml. UsageError if an entry point names no package. It is found, not imported."""
    return {
        f"{point.name}/{file.parent.name}": file
        for point in entry_points(group=GROUP)
        for folder in _folders(point)
        for file in sorted(folder.glob("*/scenario.yaml"))
    }


def _folders(point: EntryPoint) -> list[Path]:
    try:
        spec = find_spec(point.module)
    except ImportError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(f"the pack {point.name!r} names {point.value!r}, which is no package: reinstall or remove it")
    return [Path(location) for location in spec.submodule_search_locations]
