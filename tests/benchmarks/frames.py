"""Messages over a pipe: a dictionary of numbers, text and arrays, the same for every version of NumPy."""

from __future__ import annotations

import io
import json
import struct
from typing import IO, Any

import numpy as np


def write(pipe: IO[bytes], message: dict[str, Any]) -> None:
    """Length, then an npz archive: arrays by name, everything else as JSON."""
    arrays = {k: v for k, v in message.items() if isinstance(v, np.ndarray)}
    plain = {k: v for k, v in message.items() if k not in arrays}
    body = io.BytesIO()
    named: dict[str, Any] = {"_plain": np.array(json.dumps(plain)), **arrays}
    np.savez(body, **named)
    pipe.write(struct.pack(">Q", body.getbuffer().nbytes))
    pipe.write(body.getbuffer())
    pipe.flush()


def read(pipe: IO[bytes]) -> dict[str, Any]:
    """The next message; EOFError when the other side has gone."""
    (size,) = struct.unpack(">Q", _exactly(pipe, 8))
    with np.load(io.BytesIO(_exactly(pipe, size)), allow_pickle=False) as stored:
        plain = json.loads(str(stored["_plain"]))
        return {**plain, **{k: stored[k] for k in stored.files if k != "_plain"}}


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    parts, missing = [], size
    while missing:
        part = pipe.read(missing)
        if not part:
            raise EOFError("the pipe ended in a message")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
