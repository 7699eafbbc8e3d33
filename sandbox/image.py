"""The image of the Docker launcher: one list of Debian packages, built where a registry answers by `docker build`, and
where none does by debootstrap and `docker import`. Same packages, same paths.
"""

import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from corrigym.errors import SandboxUnavailable
from corrigym.sandbox.payload import INIT

if TYPE_CHECKING:
    from docker import DockerClient

Progress = Callable[[str], None]
"""Takes a line that says how far the build is."""

_FOLDER = Path(__file__).parent / "image"
REPOSITORY = "corrigym-sandbox"
SUITE = "bookworm"


def packages() -> list[str]:
    return (_FOLDER / "packages.txt").read_text().split()


def tag() -> str:
    """Names the recipe: another recipe is another image."""
    recipe = "\0".join([(_FOLDER / "Dockerfile").read_text(), *packages(), INIT])
    return f"{REPOSITORY}:{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def is_built(client: "DockerClient") -> bool:
    from docker.errors import ImageNotFound

    try:
        client.images.get(tag())
    except ImageNotFound:
        return False
    return True


def ensure_image(client: "DockerClient", progress: Progress) -> str:
    """The tag of the image, built now if it is not there. SandboxUnavailable if there is no way to build it here."""
    with _only_one():
        if not is_built(client):
            _build(client, progress)
    return tag()


def buildable() -> str | None:
    """Why debootstrap cannot stand in for a registry here; None if it can."""
    if os.getuid() != 0:
        return "building the image without a registry needs root (debootstrap makes device nodes and owners)"
    if shutil.which("debootstrap") is None:
        return "building the image without a registry needs debootstrap: apt-get install debootstrap"
    return None


def _build(client: "DockerClient", progress: Progress) -> None:
    reason = _build_from_registry(client, progress)
    if reason is None:
        return
    progress(f"docker build cannot fetch its base ({reason}); building from Debian packages instead")
    if problem := buildable():
        raise SandboxUnavailable(f"the sandbox image cannot be built: no registry answers ({reason}), and {problem}")
    _build_from_packages(client, progress)


def _build_from_registry(client: "DockerClient", progress: Progress) -> str | None:
    """None once built, else why not."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        archive.add(_FOLDER / "Dockerfile", "Dockerfile")
        archive.add(_FOLDER / "packages.txt", "packages.txt")
        archive.addfile(_member("init", len(INIT)), io.BytesIO(INIT.encode()))
    context.seek(0)
    progress("building the sandbox image (once, some minutes)")
    for record in client.api.build(fileobj=context, custom_context=True, tag=tag(), rm=True, decode=True):
        if "error" in record:
            return str(record["error"]).strip().rpartition(": ")[2]  # the innermost reason
        if line := record.get("stream", "").strip():
            progress(line)
    return None


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    return member


def _build_from_packages(client: "DockerClient", progress: Progress) -> None:
    with tempfile.TemporaryDirectory(prefix="corrigym-image-") as folder:
        command = ["debootstrap", "--variant=minbase", f"--include={','.join(packages())}", SUITE, folder]
        for line in _lines_of(command):
            if line.startswith("I: "):
                progress(line[3:])
        init = Path(folder, "usr/local/sbin/init")
        init.write_text(INIT)
        shutil.rmtree(Path(folder, "var/cache/apt/archives"), ignore_errors=True)
        progress("importing the image into the engine")
        _import(client, folder)


def _import(client: "DockerClient", folder: str) -> None:
    with subprocess.Popen(["tar", "-C", folder, "-c", "."], stdout=subprocess.PIPE) as tar:
        assert tar.stdout is not None
        repository, _, version = tag().partition(":")
        client.api.import_image_from_stream(_Stream(tar.stdout), repository=repository, tag=version)
    if tar.returncode != 0:
        raise SandboxUnavailable("the sandbox image cannot be built: tar could not read the new root file system")


class _Stream:
    """A pipe without the attributes by which requests would try to tell its length."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self._pipe.read(1 << 20), b"")


def _lines_of(command: list[str]) -> Iterator[str]:
    last: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            last = [*last[-4:], line.strip()]
            yield line.strip()
    if process.returncode != 0:
        raise SandboxUnavailable(f"the sandbox image cannot be built: {command[0]} failed: {' / '.join(last)}")


@contextmanager
def _only_one() -> Iterator[None]:
    """Two runs that start at once build it once."""
    with Path(tempfile.gettempdir(), f"corrigym-image-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
