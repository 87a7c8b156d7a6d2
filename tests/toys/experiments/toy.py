"""An experiment that counts instead of training: it can wait, fail and die on demand, whole or in parts."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Literal

import numpy as np

from ntk_core.progress import checkpoint
from ntk_core.runs.arrays import labelled
from ntk_core.runs.parts import Part
from ntk_core.runs.plan import Plan
from ntk_core.runs.result import Increment, Schema, Variable
from ntk_core.runs.spec import ExperimentSpec
from ntk_core.runs.theory import Theory

CELLS = ("time", "who")


class Spec(ExperimentSpec):
    experiment: Literal["toy"] = "toy"
    frames: int = 5
    who: int = 1  # how many count
    split: bool = False  # a part for each of them
    pause: float = 0.0  # seconds before each frame
    trouble: Literal["none", "value", "other", "arithmetic", "death", "memory", "refusal", "theory", "silence"] = "none"
    troubled: int = 0  # who has the trouble
    trace: str = ""  # a file that gets a line for every part that starts
    chatter: int = 0  # bytes printed before each frame
    thinking: float = 0.0  # seconds that the theory takes
    seconds: float = 0.0  # predicted
    heavy: int = 3  # length of what it yields
    needs: int = 0  # bytes, predicted
    nonce: int = 0


def theory(spec: Spec) -> Theory:
    _sleep(spec.thinking, 0.0, 0.0)
    if spec.trouble == "theory":
        raise ValueError("frames: too many for the theory")
    return Theory(labelled(values=(("x",), np.arange(spec.frames))), {"pid": os.getpid()})


def slow(spec: Spec) -> bool:
    return spec.thinking > 1


def plan(spec: Spec) -> Plan:
    refusal = "frames: would take 3 TB; lower it" if spec.trouble == "refusal" else None
    seconds = spec.seconds or spec.frames * spec.pause * spec.who
    return Plan((), bytes=spec.needs or 8 * spec.frames, seconds=seconds, refusal=refusal, warnings=("toy",))


def schema(spec: Spec) -> Schema:
    coords = labelled(
        time=(("time",), np.arange(spec.frames, dtype=float)), who=(("who",), np.arange(spec.who)),
        x=(("x",), np.arange(spec.heavy)),
    )  # fmt: skip
    values = Variable((*CELLS, "x"), "counted so far")
    return Schema(
        coords, {"values": values, "pid": Variable(CELLS, "process"), "threads": Variable(CELLS, "threads")}, CELLS
    )


def parts(spec: Spec, plan: Plan, workers: int) -> tuple[Part, ...]:
    if not spec.split:
        return (Part("all"),)
    return tuple(Part(f"counter {k}", ({"who": k},), seconds=1.0 + k) for k in range(spec.who))


def sketch(spec: Spec) -> Spec | None:
    return spec.model_copy(update={"frames": 1})


def run(spec: Spec, part: Part | None = None) -> Iterator[Increment]:
    if spec.trace:
        with open(spec.trace, "a") as file:
            print(os.getpid(), file=file)
    places = [place["who"] for place in part.places if "who" in place] if part else []
    who = places or list(range(spec.who))
    for index in range(spec.frames):
        for turn, k in enumerate(who):
            print("x" * spec.chatter, flush=True)
            done = (index + turn / len(who)) / spec.frames
            _sleep(spec.pause, done, 1 / spec.frames / len(who))
            if index == spec.frames // 2 and k == spec.troubled:
                _make_trouble(spec)
            yield _increment(spec, index, int(k), done + 1 / spec.frames / len(who))


def _increment(spec: Spec, index: int, k: int, progress: float) -> Increment:
    import torch

    values = {"values": np.full(spec.heavy, index + 100 * k, np.float32), "pid": np.float32(os.getpid())}
    return Increment({"time": index, "who": k}, values | {"threads": np.float32(torch.get_num_threads())}, progress)


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
    if spec.trouble == "silence":
        time.sleep(10_000)
    if spec.trouble == "memory":
        hoard = [np.ones(1 << 27) for _ in range(64)]  # 64 GB, a gigabyte at a time
        raise AssertionError(f"{len(hoard)} GB were to be had")
