"""One's own data: columns of a table chosen as inputs and target, checked, scaled, classes as numbers. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ntk_core.data.parsing import Column, RawTable
from ntk_core.data.synthetic import Floats, conflict_sentence

Encoding = Literal["auto", "signs", "one_hot", "centred"]
ENCODINGS: tuple[Encoding, ...] = ("auto", "signs", "one_hot", "centred")
MAX_CLASSES = 100
MAX_OUTPUTS = 100
LARGEST = 1e9  # beyond, squares leave the range of single precision


@dataclass(frozen=True)
class Table:
    """Data to learn from.

    Attributes:
        inputs: (N, n_in) float64.
        targets: (N,) or (N, n_out) float64.
        labels: (N,) int16: the class of each row; without classes, the sign of its (first) target.
        input_names: (n_in,) names.
        target_names: the target column's name, or those of several.
        classes: names of the classes; () where the target is a number.
        notes: sentences on what is allowed and yet worth knowing.
    """

    inputs: Floats
    targets: Floats
    labels: NDArray[np.int16]
    input_names: tuple[str, ...]
    target_names: tuple[str, ...]
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.inputs)


def choose(
    raw: RawTable,
    inputs: Sequence[str] | None = None,
    target: str | Sequence[str] | None = None,
    *,
    classes: bool | None = None,
    encoding: Encoding = "auto",
    standardized: bool = False,
    sphere: bool = False,
    standardized_target: bool = False,
) -> Table:
    """Makes data of a table's columns.

    Args:
        raw: what `parse` read.
        inputs: names of the columns of inputs; by default all but the target.
        target: name of the target's column, or of several columns of numbers; by default the last.
        classes: whether the target names classes; None takes words as classes and numbers as numbers.
        encoding: how classes become numbers, see `encode`.
        standardized: inputs column by column to mean 0 and standard deviation 1.
        sphere: then every row of inputs to length 1.
        standardized_target: numeric targets to mean 0 and standard deviation 1.

    Raises:
        ValueError: one sentence that names the column, and the line where there is one.
    """
    targets = _names(target, raw.names[-1:])
    chosen = _names(inputs, [n for n in raw.names if n not in targets])
    _check_names(raw, chosen, targets)
    X = np.stack([_numbers(raw.column(name), "an input") for name in chosen], 1)
    notes = _check_inputs(X, chosen, standardized)
    X = _standardized(X) if standardized else X
    X = _on_sphere(X, raw.lines) if sphere else X
    _check_size("inputs", X, chosen, "standardize the inputs")
    first = raw.column(targets[0])
    if len(targets) == 1 and (classes or (classes is None and first.kind == "words")):
        names, labels = _classes(first)
        y = encode(labels, len(names), encoding)
    else:
        names, y = (), _targets(raw, targets, bool(classes))
        y = _standardized(y) if standardized_target else y
        _check_size("target", y.reshape(len(y), -1), targets, "standardize the target")
        labels = np.sign(y if y.ndim == 1 else y[:, 0]).astype(np.int16)
    conflict = conflict_sentence(X, y)
    notes += [conflict] if conflict else []
    return Table(X, y, labels, tuple(chosen), tuple(targets), names, tuple(notes))


def encode(labels: NDArray, count: int, encoding: Encoding = "auto") -> Floats:
    """Classes 0 to count - 1 as numbers.

    "signs": -1 and +1, (N,), of two classes; "one_hot": (N, count), 1 in the class's column; "centred": the same less
    1/count, so that the outputs of every row sum to zero; "auto": signs for two classes, centred for more.

    Raises:
        ValueError: an unknown encoding, fewer than two classes or more than MAX_CLASSES, or signs for more than two.
    """
    if encoding not in ENCODINGS:
        raise ValueError(f"encoding: must be one of {', '.join(ENCODINGS)}, got {str(encoding)[:40]!r}")
    if not 2 <= count <= MAX_CLASSES:
        raise ValueError(f"target: between 2 and {MAX_CLASSES} classes are needed to tell apart, got {count:,}")
    if encoding == "signs" and count != 2:
        raise ValueError(f"encoding: signs are for two classes, got {count}; choose one_hot or centred")
    if encoding == "signs" or (encoding == "auto" and count == 2):
        return np.where(np.asarray(labels) == 1, 1.0, -1.0)
    hot = np.eye(count)[np.asarray(labels, dtype=np.intp)]
    return hot if encoding == "one_hot" else hot - 1.0 / count


def _names(given: str | Sequence[str] | None, default: Sequence[str]) -> list[str]:
    if given is None:
        return list(default)
    return [given] if isinstance(given, str) else list(given)


def _check_names(raw: RawTable, inputs: Sequence[str], targets: Sequence[str]) -> None:
    if len(raw.names) == 1:
        raise ValueError(
            "columns: the table has one column, and an input and a target are needed; "
            "cells are separated by a comma, a semicolon, a tab or blanks"
        )
    for what, names in (("inputs", inputs), ("target", targets)):
        if not names:
            raise ValueError(f"{what}: no column is chosen; choose at least one")
        twice = next((n for i, n in enumerate(names) if n in names[:i]), None)
        if twice is not None:
            raise ValueError(f"{what}: the column {twice[:40]!r} is chosen twice")
    both = next((n for n in inputs if n in targets), None)
    if both is not None:
        raise ValueError(f"inputs: the column {both[:40]!r} is the target, so it cannot be an input")
    if len(targets) > MAX_OUTPUTS:
        raise ValueError(f"target: {len(targets):,} columns are chosen; at most {MAX_OUTPUTS} are allowed")


def _numbers(column: Column, use: str) -> Floats:
    if column.kind == "numbers":
        return column.numbers
    problem = column.problem or f"holds words such as {column.words[0][:40]!r}"
    raise ValueError(f"columns: {column.name[:40]!r} cannot be {use}: it {problem}")


def _check_inputs(X: Floats, names: Sequence[str], standardized: bool) -> list[str]:
    """Notes on constant and equal columns; a ValueError where they leave nothing to learn from."""
    constant = [name for name, same in zip(names, X.max(0) == X.min(0), strict=True) if same]
    if len(constant) == len(names):
        raise ValueError(f"inputs: every row is the same ({_listed(constant)}), so no two rows can be told apart")
    if constant and standardized:
        raise ValueError(
            f"inputs: {_listed(constant)} {'is' if len(constant) == 1 else 'are'} constant and cannot be "
            f"standardized; leave {'it' if len(constant) == 1 else 'them'} out"
        )
    notes = [f"The same value in every row: {_listed(constant)}."] if constant else []
    first: dict[bytes, str] = {}
    equal = []
    for name, column in zip(names, X.T, strict=True):
        twin = first.setdefault((column + 0.0).tobytes(), name)
        if twin != name and name not in constant:
            equal.append((twin, name))
    if equal:
        more = f" (and {len(equal) - 1} more such pairs)" if len(equal) > 1 else ""
        notes.append(f"The columns {_listed(equal[0])} are equal{more}: each counts as an input of its own.")
    return notes


def _check_size(what: str, values: Floats, names: Sequence[str], remedy: str) -> None:
    sizes = np.abs(values).max(0)
    if sizes.max() > LARGEST:
        name = names[int(sizes.argmax())]
        raise ValueError(f"{what}: {name[:40]!r} reaches {sizes.max():.3g}, at most {LARGEST:g} is allowed; {remedy}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(n[:40]) for n in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _standardized(values: Floats) -> Floats:
    """Mean 0 and standard deviation 1 (of the population), column by column; no column is constant."""
    scale = np.abs(values).max(0)  # first to size 1, so that no square overflows or vanishes
    values = values / np.where(scale > 0, scale, 1.0)
    values = values - values.mean(0)
    return values / values.std(0)


def _on_sphere(X: Floats, lines: NDArray) -> Floats:
    scale = np.abs(X).max(1, keepdims=True)
    zero = np.flatnonzero(scale[:, 0] == 0)
    if len(zero):
        raise ValueError(
            f"inputs: the row in line {lines[zero[0]]} is zero in every input, so it has no place on the sphere; "
            f"leave it out"
        )
    X = X / scale
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def _targets(raw: RawTable, names: Sequence[str], classes: bool) -> Floats:
    """Numeric targets, (N,) for one column and (N, n_out) for several."""
    if classes:
        raise ValueError("target: classes are the values of one column; choose one")
    columns = [_numbers(raw.column(name), "a numeric target") for name in names]
    for name, y in zip(names, columns, strict=True):
        if (y == y[0]).all():
            raise ValueError(f"target: {name[:40]!r} is {y[0]:g} in every row, so there is nothing to learn")
    return columns[0] if len(columns) == 1 else np.stack(columns, 1)


def _classes(column: Column) -> tuple[tuple[str, ...], NDArray[np.int16]]:
    """Names of the classes, sorted, and the class of each row."""
    if column.kind == "mixed":
        raise ValueError(f"target: {column.name[:40]!r} cannot name classes: it {column.problem}")
    values = np.array(column.words)[column.codes] if column.kind == "words" else column.numbers
    found, labels = np.unique(values, return_inverse=True)
    if len(found) == 1:
        raise ValueError(f"target: {column.name[:40]!r} has one class ({_name(found[0])!r}); at least two are needed")
    if len(found) > MAX_CLASSES:
        raise ValueError(
            f"target: {column.name[:40]!r} has {len(found):,} different values, too many for classes "
            f"(at most {MAX_CLASSES})"
        )
    return tuple(_name(value) for value in found), labels.ravel().astype(np.int16)


def _name(value: np.str_ | np.float64) -> str:
    return str(value)[:40] if isinstance(value, str) else f"{value:.15g}"
