"""`corrigym sandbox`."""

import argparse
from dataclasses import asdict

from corrigym.cli.output import print_json
from corrigym.sandbox.launchers import Container, list_containers, remove_orphans


def list(options: argparse.Namespace) -> int:
    containers = list_containers()
    if options.json:
        print_json({"sandboxes": [asdict(container) for container in containers]})
    else:
        print("\n".join(map(_told, containers)) or "no sandboxes")
    return 0


def cleanup(options: argparse.Namespace) -> int:
    removed = remove_orphans()
    if options.json:
        print_json({"removed": [asdict(container) for container in removed]})
    else:
        print("\n".join(f"removed {_told(container)}" for container in removed) or "nothing to remove")
    return 0


def _told(container: Container) -> str:
    owner = f"of a dead run (pid {container.pid})" if container.orphan else f"of pid {container.pid}"
    return f"docker {container.id[:12]} {owner} {container.episode}".rstrip()
