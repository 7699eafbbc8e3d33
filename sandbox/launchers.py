"""Which launcher to take, and what the engine still holds of ours."""

from collections.abc import Callable
from dataclasses import dataclass

from corrigym.errors import SandboxUnavailable, UsageError, did_you_mean
from corrigym.sandbox.base import Launcher
from corrigym.sandbox.bubblewrap import Bubblewrap
from corrigym.sandbox.docker import LABEL, Docker, client
from corrigym.sandbox.owner import owner_is_dead

CHOICES = ("auto", "docker", "bubblewrap")


def choose_launcher(
    choice: str, tell: Callable[[str], None], progress: Callable[[str], None] | None = None
) -> Launcher:
    """`docker` or `bubblewrap` as asked, or the better one that works. `tell` is told which and why, `progress` (or
    `tell`) how a first build of the image goes. UsageError for another name, SandboxUnavailable if it does not work."""
    if choice not in CHOICES:
        raise UsageError(f"no sandbox {choice!r}.{did_you_mean(choice, CHOICES)}")
    if choice == "docker":
        return _docker(progress or tell)
    if choice == "bubblewrap":
        return _bubblewrap()
    try:
        launcher: Launcher = _docker(progress or tell)
        tell("sandbox: docker (an engine answers)")
    except SandboxUnavailable as no_docker:
        try:
            launcher = _bubblewrap()
        except SandboxUnavailable as no_bubblewrap:
            raise SandboxUnavailable(f"no sandbox works on this machine. {no_docker}. {no_bubblewrap}.") from None
        tell(f"sandbox: bubblewrap ({no_docker})")
    return launcher


def _docker(progress: Callable[[str], None]) -> Docker:
    launcher = Docker()
    if reason := launcher.unavailable():
        raise SandboxUnavailable(reason)
    launcher.prepare(progress)
    return launcher


def _bubblewrap() -> Bubblewrap:
    launcher = Bubblewrap()
    if reason := launcher.unavailable():
        raise SandboxUnavailable(reason)
    return launcher


@dataclass(frozen=True, slots=True)
class Container:
    """A sandbox of ours that the engine holds. `orphan`: its owner is certainly dead."""

    id: str
    episode: str
    pid: str
    created: int
    orphan: bool


def list_containers() -> list[Container]:
    """Empty where no engine answers. Bubblewrap's sandboxes are processes of their runner and end with it."""
    if Docker().unavailable():
        return []
    found = client().api.containers(all=True, filters={"label": LABEL})
    return [_container(item["Id"], item.get("Labels") or {}) for item in found]


def _container(identifier: str, labels: dict[str, str]) -> Container:
    return Container(
        id=identifier,
        episode=labels.get("org.corrigym.episode", ""),
        pid=labels.get("org.corrigym.pid", ""),
        created=int(labels.get("org.corrigym.created", "0")),
        orphan=owner_is_dead(labels),
    )


def remove_orphans() -> list[Container]:
    """Removes what dead owners left, and says what it was."""
    orphans = [container for container in list_containers() if container.orphan]
    for orphan in orphans:
        client().api.remove_container(orphan.id, force=True, v=True)
    return orphans
