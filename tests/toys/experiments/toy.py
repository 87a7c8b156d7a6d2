"""An experiment that counts instead of training: it can wait, fail and die on demand."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Literal

import numpy as np

from ntk_core.progress import checkpoint
from ntk_core.runs.plan import Plan
from ntk_core.runs.snapshot import Snapshot, labelled
from ntk_core.runs.spec import ExperimentSpec


class Spec(ExperimentSpec):
    experiment: Literal["toy"] = "toy"
    frames: int = 5
    pause: float = 0.0  # seconds before each frame
    partial: int = 0  # partial snapshots before each complete one
    trouble: Literal["none", "value", "other", "arithmetic", "death", "memory", "refusal", "theory"] = "none"
    trace: str = ""  # a file that gets a line for every run that starts
    chatter: int = 0  # bytes printed before each frame
    nonce: int = 0


def theory(spec: Spec) -> Snapshot:
    if spec.trouble == "theory":
        raise ValueError("frames: too many for the theory")
    return Snapshot(0, 0.0, labelled(values=(("x",), np.arange(spec.frames))), info={"pid": os.getpid()})


def plan(spec: Spec) -> Plan:
    refusal = "frames: would take 3 TB; lower it" if spec.trouble == "refusal" else None
    return Plan((), bytes=8 * spec.frames, seconds=spec.frames * spec.pause, refusal=refusal, warnings=("toy",))


def run(spec: Spec) -> Iterator[Snapshot]:
    if spec.trace:
        with open(spec.trace, "a") as file:
            print(os.getpid(), file=file)
    for index in range(spec.frames):
        for part in range(spec.partial):
            yield _snapshot(spec, index, (part + 1) / (spec.partial + 1))
        print("x" * spec.chatter, flush=True)
        _sleep(spec.pause, index / spec.frames, 1 / spec.frames)
        if index == spec.frames // 2:
            _make_trouble(spec)
        yield _snapshot(spec, index, 1.0)


def _snapshot(spec: Spec, index: int, part: float) -> Snapshot:
    import torch

    info = {"pid": os.getpid(), "threads": torch.get_num_threads()}
    arrays = labelled(values=(("x",), np.full(3, index, np.float32)))
    return Snapshot(index, float(index), arrays, part == 1.0, (index + part) / spec.frames, info)


def _sleep(seconds: float, done: float, share: float) -> None:
    start = time.monotonic()
    while (passed := time.monotonic() - start) < seconds:
        checkpoint(done + share * passed / seconds)
        time.sleep(0.01)


def _make_trouble(spec: Spec) -> None:
    if spec.trouble == "value":
        raise ValueError("frames: went wrong in the middle")
    if spec.trouble == "other":
        raise KeyError("a defect")
    if spec.trouble == "arithmetic":
        raise FloatingPointError("the run diverged: a layer's values are no longer finite numbers")
    if spec.trouble == "death":
        os._exit(1)
    if spec.trouble == "memory":
        hoard = [np.ones(1 << 27) for _ in range(64)]  # 64 GB, a gigabyte at a time
        raise AssertionError(f"{len(hoard)} GB were to be had")
