"""The engine's child process tree, seen from its parent."""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from ntk_core.engine.errors import EngineError

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]


class Child:
    """A running `python -m ntk_core.engine.cluster`; it leaves when its standard input closes.

    Args:
        workers, threads, memory_limit: as the cluster's options; 0 lets it choose.
        timeout: seconds it may take to print its address.
    """

    def __init__(self, workers: int = 0, threads: int = 0, memory_limit: int = 0, timeout: float = 60.0):
        command = [sys.executable, "-m", "ntk_core.engine.cluster"]
        command += [f"--workers={workers}", f"--threads={threads}", f"--memory-limit={memory_limit}"]
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        environment = {"DASK_LOGGING__DISTRIBUTED": "warning"} | os.environ
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        # A session of its own: Ctrl-C in the terminal is for the server, which then closes the child in order.
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True
        )
        self.address = self._read_address(timeout)
        # A pipe that nobody reads blocks whoever prints into it after 64 KiB.
        threading.Thread(target=self._read_on, name="engine-output", daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether the scheduler's process still runs."""
        return self.process.poll() is None

    def close(self, timeout: float = 8.0) -> None:
        """Asks the tree to leave by closing its standard input, and kills what is left of it after `timeout`."""
        if self.process.stdin:
            self.process.stdin.close()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def _read_on(self) -> None:
        assert self.process.stdout is not None
        try:
            for line in self.process.stdout:
                logger.info("%s", line.decode(errors="replace").rstrip())
        except ValueError:
            return  # closed while it was read: the child has gone

    def _read_address(self, timeout: float) -> str:
        assert self.process.stdout is not None
        deadline = time.monotonic() + timeout
        ready, _, _ = select.select([self.process.stdout], [], [], deadline - time.monotonic())
        line = self.process.stdout.readline().decode().strip() if ready else ""
        if not line:
            self.close(timeout=1)
            raise EngineError("the engine's processes did not start; the server's log has the details")
        return line
