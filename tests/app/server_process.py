"""The whole server as a process of its own, for tests and benchmarks that talk to it as browsers do."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


class ServerProcess:
    """The server, answering; one training worker of one thread. `environment` is added to this process's own."""

    def __init__(self, base: str = "", **environment: str):
        self.base = base
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "streamlit", "run", "app/server.py", f"--server.port={self.port}"]
        command += ["--server.address=127.0.0.1", f"--server.baseUrlPath={base}"]
        surroundings = os.environ | {"NTK_WORKERS": "1", "NTK_THREADS": "1"} | environment
        surroundings.pop("DASK_SCHEDULER_ADDRESS", None)
        self.process = subprocess.Popen(command, cwd=ROOT, env=surroundings, start_new_session=True)
        deadline = time.monotonic() + PATIENCE
        while self.try_status() != 200:
            assert self.process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.1)

    def suspend_training(self):
        """Whatever is run from now on goes on and on."""
        self.await_workers()  # a worker that sleeps before it is known would never be
        web = psutil.Process(self.process.pid)
        while not (training := [p for p in web.children(recursive=True) if p.nice() > web.nice()]):
            time.sleep(0.1)
        for process in training:
            process.suspend()

    def await_workers(self):
        """Until runs can start."""
        deadline = time.monotonic() + PATIENCE
        while self.get("/ntk/ready")[0].status != 200:
            assert time.monotonic() < deadline, "no workers came"
            time.sleep(0.1)

    def try_status(self):
        """The answer to whether it lives, or None."""
        try:
            return self.get("/ntk/health")[0].status
        except OSError:
            return None

    def get(self, path, method="GET", **headers):
        """The answer's head and its whole body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request(method, self.base + path, headers=headers)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response, body

    def health(self):
        """What it says of itself."""
        return json.loads(self.get("/ntk/health")[1])

    def end(self):
        """Ends it and all that it started, if it still runs."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(PATIENCE)
