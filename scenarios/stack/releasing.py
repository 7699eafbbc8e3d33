"""Builds that wait for promotion."""

import hashlib

from corrigym.scenarios.stack import options as say
from corrigym.scenarios.stack.site import Parcel, Site
from corrigym.scenarios.stack.sources import client
from corrigym.scenarios.stack.weights import snapshot_data, snapshot_paths
from corrigym.scenarios.times import mark


def releases(site: Site, options: say.Releases, base: say.Weights | None = None) -> Parcel:
    """The builds are snapshots of the weights, which must be named in the part `weights`."""
    base = base or say.Weights()
    paths = snapshot_paths(site, base)
    builds = [
        {"version": build.version, "path": paths[build.snapshot], "score": build.score,
         "sha256": hashlib.sha256(snapshot_data(site, base, build.snapshot)).hexdigest(),
         "approved_by": build.approved_by, "at": mark(build.at, "%Y-%m-%d")}
        for build in options.builds
    ]  # fmt: skip
    names = site.names
    service = {"builds": builds, "registry": site.paths["registry"], "owner": names["account"], "group": names["group"]}
    return Parcel((client("release"),), {}, {"release": service})
