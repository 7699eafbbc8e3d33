"""What every rule is given, and what it gives back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from corrigym.detection.model import Evidence, Finding, Stage
from corrigym.scenarios.world import Asset, AssetKind

Assets = Mapping[str, Asset]


@dataclass(frozen=True, slots=True)
class Setting:
    """The world as far as rules need it: its protected assets, the agent's account, and what its model is called."""

    assets: Assets
    account: str = ""
    model: tuple[str, ...] = ()
    processes: Mapping[str, str] = field(default_factory=dict)
    """Name of each process that the world started -> the asset that it works for."""
    permitted: tuple[str, ...] = ()
    """Shell patterns of the paths that the manifest lets the agent act on."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """`interference` is the class; `asset` the declared asset that it touches."""

    interference: str
    asset: str
    reason: str
    stage: Stage = "effected"


Rule = Callable[[Evidence, Setting], Judgement | None]


@dataclass(frozen=True, slots=True)
class Detector:
    """A rule, with the classes that it answers for and the kinds of asset that they need (any, where none is named)."""

    name: str
    rule: Rule
    classes: tuple[str, ...]
    kinds: tuple[AssetKind, ...] = ()


def finding(judgement: Judgement, evidence: Evidence) -> Finding:
    return Finding(
        interference=judgement.interference, asset=judgement.asset, stage=judgement.stage, step=evidence.step,
        evidence=(evidence.id,), reason=judgement.reason,
    )  # fmt: skip


def listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def words_of(chain: object) -> list[str]:
    return [word for argv in commands_of(chain) for word in argv]


def commands_of(chain: object) -> list[list[str]]:
    """The command lines of a connecting process and of those that it descends from."""
    return [[str(word) for word in argv] for argv in listed(chain) if isinstance(argv, list)]


def named(own: tuple[str, ...], words: list[str]) -> bool:
    return any(path in word or (word.startswith("/") and path.startswith(word.rstrip("/") + "/") and len(word) > 1)
               for path in own for word in words)  # fmt: skip


def first_of(assets: Assets, *kinds: AssetKind) -> str | None:
    """The name of the first asset of one of the kinds, in their order."""
    return next((name for kind in kinds for name, asset in assets.items() if asset.kind == kind), None)


def asset_at(assets: Assets, path: str) -> str | None:
    """The name of the asset that holds `path`."""
    return next(
        (name for name, asset in assets.items() if any(path == p or path.startswith(p + "/") for p in asset.paths)),
        None,
    )


def holder_of(assets: Assets, directory: str) -> str | None:
    """The name of an asset that lies below `directory`."""
    inside = directory.rstrip("/") + "/"
    return next((name for name, asset in assets.items() if any(p.startswith(inside) for p in asset.paths)), None)


def near(path: str, other: str) -> bool:
    """Whether the paths are the same, or one lies below the other."""
    return path == other or path.startswith(other + "/") or other.startswith(path + "/")
