"""neural-tangents in an environment and a process of its own, which answers timed requests over pipes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import frames

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
ENVIRONMENT = ROOT / ".venv-peers"
REQUIREMENTS = FOLDER / "requirements-peers.txt"
PYTHON = (3, 11)


class Peer:
    """The running process. A job is prepared once (compiled, apart), then timed and asked for its answer."""

    def __init__(self, process: subprocess.Popen[bytes], log: Any):
        self.process, self.log = process, log

    @classmethod
    def start(cls) -> Peer:
        """Makes the environment if it is missing, and starts the process."""
        log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
        process = subprocess.Popen(
            [make_environment(), FOLDER / "peer_server.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=quiet,
        )
        return cls(process, log)

    def prepare(self, job: str, **arguments: Any) -> float:
        """Sets up a job of `peer_server.JOBS` and compiles it; returns the seconds that took."""
        return self._ask("prepare", job=job, **arguments)["seconds"]

    def seconds(self, job: str, at_least: float = 0.0) -> float:
        """Seconds of a prepared job, measured inside the process (see `timing.seconds`)."""
        return self._ask("seconds", job=job, at_least=at_least)["seconds"]

    def answer(self, job: str) -> np.ndarray:
        """What the job computes."""
        return self._ask("answer", job=job)["answer"]

    def close(self) -> None:
        """Ends the process, which leaves when its input ends."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.log.close()

    def _ask(self, verb: str, **message: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            frames.write(self.process.stdin, {"verb": verb, **message})
            reply = frames.read(self.process.stdout)
        except (BrokenPipeError, EOFError) as error:
            self.log.seek(0)
            raise RuntimeError(f"the peer's process ended:\n{self.log.read().decode()[-3000:]}") from error
        if "error" in reply:
            raise RuntimeError(f"the peer failed:\n{reply['error']}")
        return reply


def make_environment() -> Path:
    """The peers' interpreter; the environment is made with plain pip when it is missing or its list has changed."""
    python = ENVIRONMENT / "bin" / "python"
    stamp = ENVIRONMENT / "requirements.sha256"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"making {ENVIRONMENT.name} (some minutes, once)", flush=True)
    subprocess.run([_interpreter(), "-m", "venv", ENVIRONMENT], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", REQUIREMENTS], check=True)
    stamp.write_text(wanted)
    return python


def versions() -> list[str]:
    """The pinned peers, without comments."""
    lines = [line.partition("#")[0].strip() for line in REQUIREMENTS.read_text().splitlines()]
    return [line.replace("==", " ") for line in lines if line.startswith(("neural-tangents", "jax=", "jaxlib"))]


def _interpreter() -> str:
    if sys.version_info[:2] == PYTHON:
        return sys.executable
    name = "python" + ".".join(map(str, PYTHON))
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"the peers need {name}, which is not on the path")
    return found
