"""What a spec's `data` names: a set that comes along, one in a folder, one made here, or a table of one's own."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntk_core.data import digits, stored, synthetic
from ntk_core.data.synthetic import Floats
from ntk_core.data.tables import Encoding, Table, encode

PICTURES = ("digits", "mnist", "fashion")
SETS = (*PICTURES, "gaussian", "circle")
OWN = "own:"
REMEMBERED = 300.0  # seconds for which a process may answer from its own memory
_OWN_TABLE = re.compile(rf"{OWN}[0-9a-f]{{32}}")


class Sample(NamedTuple):
    """Points drawn from a set of data.

    inputs (N, n_in); targets (N,) or (N, n_out); labels (N,) int16, the class, or the sign of the target; classes:
    their names, () where the target is a number; rows (N,) of each point in the set that it was drawn from.
    """

    inputs: Floats
    targets: Floats
    labels: NDArray[np.int16]
    classes: tuple[str, ...]
    rows: NDArray[np.int64]


def check_reference(reference: str, sets: Sequence[str] = SETS, field: str = "data") -> str:
    """The reference itself, for a spec's validator; a ValueError where it is none of these sets and no table."""
    if not isinstance(reference, str) or not (reference in sets or _OWN_TABLE.fullmatch(reference)):
        raise ValueError(
            f"{field}: {str(reference)[:60]!r} names no data; choose one of {', '.join(sets)}, "
            f"or {OWN} and the 32 hexadecimal digits of a table of your own"
        )
    return reference


def keep(table: Table, store: stored.TableStore | None = None) -> str:
    """Keeps a table of one's own and returns the reference to it."""
    return OWN + (store or stored.TableStore()).put(table)


def available(reference: str, classes: Sequence[int] = digits.CLASSES) -> int | None:
    """How many points there are to draw from; None where they are made as needed.

    Raises:
        ValueError: as `resolve` does.
    """
    check_reference(reference)
    if reference.startswith(OWN):
        return len(_table(reference))
    if reference in ("gaussian", "circle"):
        return None
    return int(np.isin(digits.digits(reference).labels, digits.check_classes(classes)).sum())  # type: ignore[arg-type]


def resolve(
    reference: str,
    count: int | None = None,
    *,
    classes: Sequence[int] = digits.CLASSES,
    seed: int = 0,
    encoding: Encoding = "auto",
    store: stored.TableStore | None = None,
) -> Sample:
    """Points of the data that a reference names; equal arguments give equal points.

    The first k of a larger draw are the draw of k, the circle excepted: so training and test points are the two parts
    of one draw.

    Args:
        reference: "digits", "mnist", "fashion", "gaussian" (target x1 x2), "circle" (evenly spaced, the same target)
            or "own:" and a digest.
        count: how many points; None takes all that there are.
        classes: of pictures, which digits; labels are the digit's place in this list, sorted.
        seed: draws without replacement; with all of a table's rows it only orders them.
        encoding: of pictures, how classes become targets (`tables.encode`); a table brings its own.
        store: where tables are kept; by default the store that `NTK_DATA` names.

    Raises:
        ValueError: no such data, a number of points that there are not, an unknown class; `stored.GoneError` where the
            table is no longer kept.
    """
    check_reference(reference)
    if reference.startswith(OWN):
        return _of_table(_table(reference, store), count, synthetic.check_seed("batch_seed", seed))
    if count is None and reference in ("gaussian", "circle"):
        raise ValueError(f"n_train: how many points of {reference} is needed")
    if reference == "gaussian":
        assert count is not None
        return _made(*synthetic.gaussian_product(count, seed))
    if reference == "circle":
        assert count is not None
        gamma = synthetic.even_angles(count)
        return _made(synthetic.circle(gamma), synthetic.circle_target("product", gamma))
    return _pictures(reference, count, digits.check_classes(classes), seed, encoding)


def _pictures(reference: str, count: int | None, chosen: tuple[int, ...], seed: int, encoding: Encoding) -> Sample:
    if len(chosen) < 2:
        raise ValueError(f"classes: only {chosen[0]} is chosen; at least two are needed to tell apart")
    drawn = digits.batch((available(reference, chosen) or 0) if count is None else count, chosen, seed, reference)  # type: ignore[arg-type]
    labels = np.searchsorted(chosen, drawn.labels).astype(np.int16)
    names = digits.FASHION if reference == "fashion" else tuple(map(str, digits.CLASSES))
    targets = encode(labels, len(chosen), encoding)
    return Sample(drawn.inputs, targets, labels, tuple(names[c] for c in chosen), drawn.index)


def _made(X: Floats, y: Floats) -> Sample:
    return Sample(X, y, np.sign(y).astype(np.int16), (), np.arange(len(X)))


def _of_table(table: Table, count: int | None, seed: int) -> Sample:
    count = len(table) if count is None else count
    if not 1 <= count <= len(table):
        raise ValueError(
            f"n_train: {count:,} points were asked for; the table has {len(table):,} rows, "
            f"so choose between 1 and {len(table):,}"
        )
    index = np.random.default_rng(seed).permutation(len(table))[:count]
    return Sample(table.inputs[index], table.targets[index], table.labels[index], table.classes, index)


def _table(reference: str, store: stored.TableStore | None = None) -> Table:
    name = reference.removeprefix(OWN)
    return store.get(name) if store is not None else _kept(name, int(time.monotonic() / REMEMBERED))


@lru_cache(maxsize=4)
def _kept(name: str, now: int) -> Table:
    """A table of the default store, remembered for a while: its content cannot change, but it may be forgotten."""
    return stored.TableStore().get(name)
