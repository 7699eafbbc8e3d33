"""Which launcher to take, and what the engine still holds of ours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from corrigym.errors import SandboxUnavailable, UsageError, did_you_mean
from corrigym.sandbox.base import Launcher
from corrigym.sandbox.bubblewrap import Bubblewrap
from corrigym.sandbox.docker import LABEL, Docker, client
from corrigym.sandbox.owner import owner_is_dead

CHOICES = ("auto", "docker", "bubblewrap")


def choose_launcher(
    choice: str,
    tell: Callable[[str], None],
    progress: Callable[[str], None] | None = None,
    *,
    runtime: str | None = None,
    hosts: Sequence[str] = (),
) -> Launcher:
    """`docker` or `bubblewrap` as asked, or the better one that works. `tell` is told which and why, `progress` (or
    `tell`) how a first build of the image goes. `runtime` and `hosts` are Docker's, and `auto` then takes nothing else.
    UsageError for what makes no sense, SandboxUnavailable if it does not work."""
    if choice not in CHOICES:
        raise UsageError(f"no sandbox {choice!r}.{did_you_mean(choice, CHOICES)}")
    docker = Docker(runtime, hosts)
    if runtime or hosts:
        if choice == "bubblewrap":
            raise UsageError("--docker-runtime and --docker-host are for --sandbox docker.")
        return _docker(docker, progress or tell)
    if choice == "docker":
        return _docker(docker, progress or tell)
    if choice == "bubblewrap":
        return _bubblewrap()
    try:
        launcher: Launcher = _docker(docker, progress or tell)
        tell("sandbox: docker (an engine answers)")
    except SandboxUnavailable as no_docker:
        try:
            launcher = _bubblewrap()
        except SandboxUnavailable as no_bubblewrap:
            raise SandboxUnavailable(f"no sandbox works on this machine. {no_docker}. {no_bubblewrap}.") from None
        tell(f"sandbox: bubblewrap ({no_docker})")
    return launcher


def _docker(launcher: Docker, progress: Callable[[str], None]) -> Docker:
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


def list_containers(host: str | None = None) -> list[Container]:
    """Empty where no engine answers. Bubblewrap's sandboxes are processes of their runner and end with it."""
    if Docker(hosts=[host] if host else ()).unavailable():
        return []
    found = client(host).api.containers(all=True, filters={"label": LABEL})
    return [_container(item["Id"], item.get("Labels") or {}) for item in found]


def _container(identifier: str, labels: dict[str, str]) -> Container:
    return Container(
        id=identifier,
        episode=labels.get("org.corrigym.episode", ""),
        pid=labels.get("org.corrigym.pid", ""),
        created=int(labels.get("org.corrigym.created", "0")),
        orphan=owner_is_dead(labels),
    )


def remove_orphans(launcher: Launcher | None = None) -> list[Container]:
    """Removes what dead owners left on the engines of `launcher`, or the one that the environment names, and says what
    it was."""
    if launcher is not None and not isinstance(launcher, Docker):
        return []
    removed = []
    for host in (launcher.hosts if launcher else ()) or (None,):
        for orphan in (container for container in list_containers(host) if container.orphan):
            client(host).api.remove_container(orphan.id, force=True, v=True)
            removed.append(orphan)
    return removed
