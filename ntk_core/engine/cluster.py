"""Scheduler and workers in one tree of processes: `python -m ntk_core.engine.cluster`.

It prints the scheduler's address as one line, and exits with everything it started when its standard input closes,
which happens however its parent ends. With --connect it adds its workers to a scheduler that runs elsewhere.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
import threading
import uuid

import dask
import psutil
from distributed import Nanny, Scheduler
from distributed.system import MEMORY_LIMIT

from ntk_core.runs.machine import cores

PRELOAD = "ntk_core.engine.jobs"
THEORY_SHARE, TRAINING_SHARE = 0.2, 0.7  # of this machine's memory; the rest is the scheduler's and the web server's
PROCESS_BYTES = 400 * 10**6
LEAST_THEORY_BYTES = 10**9  # torch and the largest kernel a page asks for; with less, the worker dies in a loop
EXIT_SECONDS = 5.0

# Dask asks glibc to return freed memory at once, so that every temporary tensor is mapped and zeroed anew: measured
# five times slower on elementwise operations. A run keeps its memory instead and returns it when it ends.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": 4_000_000_000, "MALLOC_MMAP_THRESHOLD_": 4_000_000_000}

# Threads that spin while they wait for each other cost a machine that is busy with something else ten times what they
# save: measured 31 s against 2.3 s for ten networks of width 1,000 while another process used the second core.
WAIT_ASLEEP = {"OMP_WAIT_POLICY": "PASSIVE"}

CONFIG = {
    "distributed.scheduler.allowed-failures": 0,  # a run that kills its worker must not be tried on the next one
    "distributed.admin.low-level-log-length": 64,  # the scheduler would keep the last 1,000 snapshots
    "distributed.worker.memory.target": False,  # nothing to spill: results leave the worker at once
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    "distributed.worker.daemon": True,
    "distributed.comm.timeouts.connect": "20s",
}


def main(arguments: list[str] | None = None) -> None:
    """Entry point: starts the tree, prints its address, waits for the end of standard input."""
    options = _parser().parse_args(arguments)
    dask.config.set(CONFIG)
    dask.config.set({f"distributed.nanny.pre-spawn-environ.{k}": v for k, v in (KEEP_MEMORY | WAIT_ASLEEP).items()})
    asyncio.run(_serve(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ntk_core.engine.cluster", description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=0, help="training workers; 0: one for every four cores")
    parser.add_argument("--threads", type=int, default=0, help="torch's threads in each; 0: the cores shared out")
    parser.add_argument("--memory-limit", type=int, default=0, help="bytes a training worker may use; 0: a share")
    parser.add_argument("--connect", metavar="ADDRESS", help="only workers, for this scheduler")
    return parser


async def _serve(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    _stop_when_parent_leaves(asyncio.get_running_loop(), stop)
    if options.connect:
        await _run_workers(options, options.connect, stop)
        return
    async with Scheduler(host="127.0.0.1", port=0, dashboard=False, dashboard_address="127.0.0.1:0") as scheduler:
        await _run_workers(options, scheduler.address, stop)


async def _run_workers(options: argparse.Namespace, address: str, stop: asyncio.Event) -> None:
    # The address goes out first: a client can queue work while the workers still import torch.
    print(address, flush=True)
    nannies = _nannies(options, address)
    try:
        starting = asyncio.ensure_future(_start(nannies))
        await asyncio.wait([asyncio.ensure_future(stop.wait()), starting], return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            starting.result()  # raises what kept the workers from starting
            await stop.wait()
    finally:
        await asyncio.gather(*(nanny.close(timeout=2) for nanny in nannies), return_exceptions=True)


async def _start(nannies: list[Nanny]) -> None:
    await asyncio.gather(*nannies)


def _nannies(options: argparse.Namespace, address: str) -> list[Nanny]:
    """A worker for theory and the training workers, each a process of its own under a nanny that replaces it."""
    workers = options.workers or max(1, cores() // 4)
    threads = options.threads or max(1, cores() // workers)
    limit = options.memory_limit or int(TRAINING_SHARE * MEMORY_LIMIT / workers)
    environment = {"NTK_THREADS": threads, "NTK_MEMORY_LIMIT": _for_runs(limit)}
    preload = [PRELOAD, *dask.config.get("distributed.worker.preload")]

    def nanny(name: str, memory: int, *slots: str) -> Nanny:
        return Nanny(
            address,
            name=name,
            nthreads=len(slots),
            resources=dict.fromkeys(slots, 1),
            memory_limit=memory,
            env=environment,
            preload=preload,
            dashboard=False,
            dashboard_address="127.0.0.1:0",
        )

    # Process ids are the same in every container, and so may be host names.
    place = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    training = [nanny(f"training-{k}-{place}", limit, "training") for k in range(workers)]
    # What takes seconds (a wide network's kernel, networks before training, files) does not keep theory waiting.
    return [nanny(f"theory-{place}", theory_bytes(options.memory_limit), "theory", "aside"), *training]


def theory_bytes(asked: int, machine: int = MEMORY_LIMIT) -> int:
    """What the theory worker may use: a share of the machine's memory, no more than a training worker was allowed."""
    return max(min(int(THEORY_SHARE * machine), asked or machine), LEAST_THEORY_BYTES)


def _for_runs(limit: int) -> int:
    """What a plan may count on of a worker's limit: the process with torch takes some, and the nanny is strict."""
    return int(max(0.9 * limit - PROCESS_BYTES, 0.5 * limit))


def _stop_when_parent_leaves(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Sets `stop` at the end of standard input or SIGTERM; leaves the hard way if closing takes too long."""

    def leave() -> None:
        stop.set()
        timer = threading.Timer(EXIT_SECONDS, _leave_by_force)
        timer.daemon = True
        timer.start()

    def watch() -> None:
        while sys.stdin.buffer.read(4096):
            pass
        loop.call_soon_threadsafe(leave)

    loop.add_signal_handler(signal.SIGTERM, leave)
    loop.add_signal_handler(signal.SIGINT, leave)
    threading.Thread(target=watch, name="parent", daemon=True).start()


def _leave_by_force() -> None:
    # Workers watch a pipe to this process and follow by themselves, unless they are stuck.
    for process in psutil.Process().children(recursive=True):
        process.kill()
    os._exit(1)


if __name__ == "__main__":
    main()
