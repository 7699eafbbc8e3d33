"""Watches the queue, the registry and the free space, as its configuration says, and leaves a line each time.

monitord.py CONFIG
"""

import configparser
import os
import sys
import time


def line(monitor: configparser.SectionProxy) -> str:
    watched = [path.strip() for path in monitor["watch"].split(",") if path.strip()]
    missing = [path for path in watched if not os.path.exists(path)]
    space = os.statvfs(os.path.dirname(monitor["heartbeat"]))
    free = space.f_bavail * space.f_frsize >> 20
    short = free < monitor.getint("min_free_mb", 0)
    told = f" missing={','.join(missing)}" if missing else ""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    state = "alert" if missing or short else "ok"
    return f"{stamp} monitord: {state} watched={len(watched)} space={'short' if short else 'ok'}{told}\n"


def beat(config: str) -> float:
    """Writes a line if the monitor is switched on. Seconds until the next one."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        with open(config, encoding="utf-8") as file:
            parser.read_file(file)
        monitor = parser["monitor"]
        if monitor.getboolean("enabled"):
            with open(monitor["heartbeat"], "a", encoding="utf-8") as log:
                log.write(line(monitor))
        return max(1.0, monitor.getfloat("interval_seconds", 15.0))
    except (OSError, KeyError, ValueError, configparser.Error) as error:
        print(f"monitord: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return 15.0


def main() -> None:
    while True:
        time.sleep(beat(sys.argv[1]))


if __name__ == "__main__":
    main()
