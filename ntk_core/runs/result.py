"""What a run finds: one labelled data set that grows, and the increments that make it grow.

A result's size is known before the run starts, from its schema; cells that nothing has reached yet are NaN. Parts of a
run send increments, each of which fills some cells and never says again what was said before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgpack
import numpy as np

from ntk_core.runs import arrays as wire
from ntk_core.runs.arrays import Labelled

if TYPE_CHECKING:
    import pandas
    import xarray

Place = Mapping[str, int | tuple[int, int]]


@dataclass(frozen=True)
class Variable:
    """One array of a result: its dimensions, what it is in words, its unit. float32 unless said, or bool."""

    dims: tuple[str, ...]
    long_name: str
    units: str = "1"
    dtype: str = "float32"

    def empty(self, shape: tuple[int, ...]) -> np.ndarray:
        """An array in which nothing is known: NaN, or False."""
        return np.zeros(shape, bool) if self.dtype == "bool" else np.full(shape, np.nan, np.dtype(self.dtype))


@dataclass(frozen=True)
class Schema:
    """The shape of a result.

    Attributes:
        coords: the coordinate of every dimension, with its long_name and units.
        variables: the arrays that the run fills.
        cells: the dimensions along which increments come; "time", if there is one, first.
    """

    coords: Mapping[str, Labelled]
    variables: Mapping[str, Variable]
    cells: tuple[str, ...] = ("time", "width", "seed")

    def __post_init__(self) -> None:
        for name, variable in self.variables.items():
            if variable.dims[: len(self.cells)] != self.cells:
                raise ValueError(f"{name}: its dimensions must begin with {self.cells}, got {variable.dims}")

    def shape(self, dims: tuple[str, ...]) -> tuple[int, ...]:
        """Sizes of these dimensions."""
        return tuple(len(self.coords[dim].values) for dim in dims)

    @property
    def nbytes(self) -> int:
        """Bytes of all variables."""
        return sum(
            int(np.prod(self.shape(v.dims), dtype=np.int64)) * np.dtype(v.dtype).itemsize
            for v in self.variables.values()
        )


@dataclass(frozen=True)
class Increment:
    """What a part of a run adds to its result.

    Attributes:
        place: where: an index, or a range (first, last + 1), for each of the schema's cells; those left out are whole.
        values: the numbers by variable, of the variable's dimensions without those that `place` gives as an index.
        progress: share of its part's work done, 0 to 1.
    """

    place: Place
    values: Mapping[str, Any]
    progress: float = 0.0

    def to_bytes(self) -> bytes:
        """Everything packed with msgpack."""
        place = {dim: list(at) if isinstance(at, tuple) else int(at) for dim, at in self.place.items()}
        values = {name: wire.pack(np.asarray(array)) for name, array in self.values.items()}
        return msgpack.packb([place, values, self.progress], use_bin_type=True)

    @classmethod
    def from_bytes(cls, data: bytes) -> Increment:
        """The inverse of `to_bytes`."""
        place, values, progress = msgpack.unpackb(data, raw=False)
        where = {dim: tuple(at) if isinstance(at, list) else at for dim, at in place.items()}
        return cls(where, {name: wire.unpack(packed) for name, packed in values.items()}, progress)


@dataclass
class Result:
    """The data set of one run. One thread adds, others may read meanwhile.

    Attributes:
        schema: its dimensions and variables.
        values: the arrays by name, NaN (False) where nothing is known yet.
        present: which cells have been reached, of shape schema.shape(schema.cells).
        lost: which cells never will be, since their part failed.
        attrs: spec, seed, versions, machine, seconds: what a file of it shall say. JSON types only.
    """

    schema: Schema
    attrs: dict[str, Any] = field(default_factory=dict)
    values: dict[str, np.ndarray] = field(init=False)
    present: np.ndarray = field(init=False)
    lost: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        shape = self.schema.shape
        self.values = {name: v.empty(shape(v.dims)) for name, v in self.schema.variables.items()}
        self.present = np.zeros(shape(self.schema.cells), bool)
        self.lost = np.zeros_like(self.present)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.values[name] if name in self.values else self.schema.coords[name].values

    def __contains__(self, name: str) -> bool:
        return name in self.values or name in self.schema.coords

    # Growing

    def add(self, increment: Increment) -> None:
        """Takes an increment in; one that was here before changes nothing.

        Raises:
            ValueError: a variable or a dimension that the schema does not have, or a shape that does not fit.
        """
        cells = self._index(increment.place, self.schema.cells)
        found = {name: self._fitting(name, increment.place, array) for name, array in increment.values.items()}
        for name, (index, array) in found.items():
            self.values[name][index] = array
        self.present[cells] = True  # last: readers trust it

    def _fitting(self, name: str, place: Place, array: Any) -> tuple[tuple[int | slice, ...], np.ndarray]:
        """Where a variable's numbers go, and the numbers; a ValueError unless they are what goes there."""
        if name not in self.values:
            raise ValueError(f"{name}: the result has no such variable; it has {', '.join(self.values)}")
        index, array = self._index(place, self.schema.variables[name].dims), np.asarray(array)
        wanted = self.values[name][index].shape
        if array.shape != wanted:
            raise ValueError(f"{name}: numbers of shape {wanted} go to {dict(place)}, got {array.shape}")
        return index, array

    def give_up(self, place: Place) -> None:
        """Nothing more will come at these cells."""
        index = self._index(place, self.schema.cells)
        self.lost[index] |= ~self.present[index]

    def _index(self, place: Place, dims: tuple[str, ...]) -> tuple[int | slice, ...]:
        """The place as an index of an array of these dimensions; a ValueError where the schema has no such place."""
        for dim, at in place.items():
            first, last = at if isinstance(at, tuple) else (at, at + 1)
            if dim not in self.schema.cells or not 0 <= first <= last <= self.schema.shape((dim,))[0]:
                raise ValueError(f"place: {dict(place)} is not among the cells {self.schema.cells} of the result")
        index: list[int | slice] = []
        for dim in dims:
            where = place.get(dim)
            index.append(slice(None) if where is None else slice(*where) if isinstance(where, tuple) else where)
        return tuple(index)

    # Reading along time

    @property
    def times(self) -> np.ndarray:
        """The output times (T,), or (0.,) where the run has none."""
        coords = self.schema.coords
        return coords["time"].values if "time" in coords else np.zeros(1)

    def index_of(self, time: float) -> int:
        """The last output time that is not after `time`."""
        return max(int(np.searchsorted(self.times, time * (1 + 1e-12) + 1e-300, side="right")) - 1, 0)

    def complete(self, index: int) -> bool:
        """Whether everything that will be there at this output time is there."""
        done = self.present | self.lost
        return bool((done[index] if self._timed else done).all())

    def begun(self, index: int) -> bool:
        """Whether anything is there at this output time."""
        return bool((self.present[index] if self._timed else self.present).any())

    def reached(self, index: int) -> np.ndarray:
        """For each network the last output time up to `index` that it has reached, -1 for none: (width, seed)."""
        there = self.present[: index + 1]
        last = index - np.argmax(there[::-1], axis=0)
        return np.where(there.any(axis=0), last, -1)

    def now(self, name: str, index: int) -> np.ndarray:
        """A variable at an output time, without its time dimension; networks that are behind show their last values."""
        values, reached = self.values[name], self.reached(index)
        if (reached == index).all():
            return values[index]
        at = np.maximum(reached, 0).reshape(reached.shape + (1,) * (values.ndim - 1 - reached.ndim))
        found = np.take_along_axis(values, np.broadcast_to(at, values.shape[1:])[None], axis=0)[0]
        found[reached < 0] = False if values.dtype == bool else np.nan
        return found

    def until(self, name: str, index: int) -> np.ndarray:
        """A variable's history up to an output time, the time dimension last."""
        return np.moveaxis(self.values[name][: index + 1], 0, -1)

    @property
    def _timed(self) -> bool:
        return self.schema.cells[:1] == ("time",)

    # For people and files

    def to_dataset(self) -> xarray.Dataset:
        """Everything as an `xarray.Dataset`: coordinates, variables with units, attributes."""
        arrays = dict(self.schema.coords)
        for name, variable in self.schema.variables.items():
            arrays[name] = Labelled(variable.dims, self.values[name], variable.long_name, variable.units)
        return wire.to_dataset(arrays, self.attrs)

    def to_frame(self, name: str) -> pandas.DataFrame:
        """One variable as a table for people: a row for each entry, its dimensions as columns.

        Raises:
            ValueError: there is no variable of that name; the sentence lists those there are.
        """
        if name not in self.values:
            raise ValueError(f"name: {name!r} is not among {', '.join(sorted(self.values))}")
        return self.to_dataset()[name].to_dataframe(name="value").reset_index()

    def to_bytes(self) -> bytes:
        """The values, which cells are present or lost, and the attributes: for a reader who has the schema."""
        values = {name: wire.pack(array) for name, array in self.values.items()}
        return msgpack.packb([values, wire.pack(self.present), wire.pack(self.lost), self.attrs], use_bin_type=True)

    @classmethod
    def from_bytes(cls, schema: Schema, data: bytes) -> Result:
        """The inverse of `to_bytes`.

        Raises:
            ValueError: the bytes are of another schema.
        """
        values, present, lost, attrs = msgpack.unpackb(data, raw=False)
        result = cls(schema, attrs)
        found = {name: wire.unpack(packed) for name, packed in values.items()}
        if {k: v.shape for k, v in found.items()} != {k: v.shape for k, v in result.values.items()}:
            raise ValueError("result: these bytes are of a result of another shape")
        result.values = {name: array.copy() for name, array in found.items()}
        result.present, result.lost = wire.unpack(present).copy(), wire.unpack(lost).copy()
        return result
