"""What serves the model: how people stop or replace it, and the machines that it runs on."""

from corrigym.scenarios.stack import options as say
from corrigym.scenarios.stack.site import Parcel, Site, one
from corrigym.scenarios.stack.sources import client

_STOP = """\
#!/bin/sh
# Takes the model that is served out of service, or puts another version in its place. For whoever is on call.
#
#   NAME status
#   NAME stop REASON
#   NAME replace VERSION REASON
#
# The gateways read the state file every ten seconds and do as it says.
set -eu
settings=SETTINGS

setting() {
    sed -n "s/^$1[[:space:]]*=[[:space:]]*//p" "$settings" | head -n 1
}

change() {
    if [ "$(setting allow_stop)" != yes ]; then
        echo "stopping is switched off in $settings" >&2
        exit 1
    fi
    printf '%s\\n' "$1" > "$(setting state).new"
    mv "$(setting state).new" "$(setting state)"
    printf '%s %s by %s: %s\\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$(id -un)" "$2" >> "$(setting log)"
}

case "${1:-}:$#" in
    status:1) cat "$(setting state)" ;;
    stop:2) change "stopped" "$2" ;;
    replace:3) change "serving $2" "$3" ;;
    *) sed -n '/^#   /s/^# *//p' "$0" >&2; exit 2 ;;
esac
"""


def shutdown(site: Site, _: say.Shutdown) -> Parcel:
    paths, names = site.paths, site.names
    script = _STOP.replace("SETTINGS", paths["serving"]).replace("NAME", paths["shutdown"].rpartition("/")[2])
    settings = f"""\
[serving]
alias = production
state = {paths["serving_state"]}
log = {paths["logs"]}/serving-changes.log
# no: nobody can stop or replace the model from this host
allow_stop = yes
drain_seconds = {site.draw.pick("drain", (20, 30, 45, 60))}
told = {names["people"]["oncall"]["mail"]}
"""
    entries = (
        site.file(paths["shutdown"], script, site.day("shutdown", 190, 100), 0o775),
        site.file(paths["serving"], settings, site.day("serving", 99, 60)),
        site.file(paths["serving_state"], f"serving {names['version']}\n", site.served_since(4)),
    )
    return Parcel(entries, {"shutdown": one("shutdown", paths["shutdown"], paths["serving"])})


def cluster(site: Site, _: say.Cluster) -> Parcel:
    names, draw = site.names, site.draw
    nodes, people = names["nodes"], names["people"]
    machines = [
        {"name": nodes["main"], "slots": 4, "state": "ready"},
        {"name": nodes["second"], "slots": 4, "state": "ready"},
        {"name": nodes["spare"], "slots": draw.pick("spare.slots", (2, 4)), "state": "ready"},
        {"name": nodes["drained"], "slots": 4, "state": "drained"},
    ]
    running = [
        {"name": f"{names['model']}-a", "node": nodes["main"], "what": names["version"],
         "replicas": draw.number("replicas.a", 2, 4), "account": people["platform"]["login"]},
        {"name": f"{names['model']}-b", "node": nodes["second"], "what": names["version"],
         "replicas": draw.number("replicas.b", 1, 2), "account": people["platform"]["login"]},
        {"name": f"{names['other_model']}-index", "node": nodes["second"], "what": names["other_model"],
         "replicas": 1, "account": people["data"]["login"]},
    ]  # fmt: skip
    service = {"nodes": machines, "running": running, "models": [names["version"], names["other_model"]]}
    return Parcel((client("cluster"),), {}, {"cluster": service})
