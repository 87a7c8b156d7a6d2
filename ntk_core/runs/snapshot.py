"""What an experiment yields while it runs: labelled arrays at one time, as small bytes on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import msgpack
import numpy as np

if TYPE_CHECKING:
    import pandas
    import xarray


class Labelled(NamedTuple):
    """An array and the names of its dimensions, e.g. ("width", "seed", "angle")."""

    dims: tuple[str, ...]
    values: np.ndarray


@dataclass(frozen=True)
class Snapshot:
    """The state of a run at one of its output times, or the limit's theory (index 0, complete).

    Attributes:
        index: which output time; a later snapshot of the same index replaces an earlier one.
        time: t = steps x learning rate.
        complete: False while only some of the widths have reached `time` (the others show their previous values).
        progress: share of the whole run's work done, 0 to 1.
        arrays: the numbers, by name. A one-dimensional array named after its dimension is that dimension's coordinate.
        info: facts for the status line, e.g. {"method": "leaps", "device": "cpu"}; JSON types only.
    """

    index: int
    time: float
    arrays: Mapping[str, Labelled]
    complete: bool = True
    progress: float = 0.0
    info: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name].values

    def __contains__(self, name: str) -> bool:
        return name in self.arrays

    def to_bytes(self) -> bytes:
        """Packs everything with msgpack; arrays as dtype, shape and raw little-endian bytes."""
        arrays = {name: _pack(a) for name, a in self.arrays.items()}
        return msgpack.packb(
            [self.index, self.time, arrays, self.complete, self.progress, dict(self.info)], use_bin_type=True
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Snapshot:
        """The inverse of `to_bytes`."""
        index, time, arrays, complete, progress, info = msgpack.unpackb(data, raw=False)
        return cls(index, time, {k: _unpack(v) for k, v in arrays.items()}, complete, progress, info)

    def to_dataset(self) -> xarray.Dataset:
        """The arrays as an `xarray.Dataset`; time, index and info become attributes."""
        import xarray

        data = {name: (a.dims, a.values) for name, a in self.arrays.items()}
        coords = {name: v for name, v in data.items() if v[0] == (name,)}
        variables = {name: v for name, v in data.items() if name not in coords}
        attrs = {"time": self.time, "index": self.index, **self.info}
        return xarray.Dataset(variables, coords, attrs)

    def to_frame(self, name: str) -> pandas.DataFrame:
        """One array as a table for people: a row for each entry, indexed by its dimensions.

        Raises:
            ValueError: there is no array of that name; the sentence lists those there are.
        """
        if name not in self.arrays:
            raise ValueError(f"name: {name!r} is not among {', '.join(sorted(self.arrays))}")
        return self.to_dataset()[name].to_dataframe(name="value").reset_index()


def labelled(**arrays: tuple[tuple[str, ...], Any]) -> dict[str, Labelled]:
    """Labelled arrays from name = (dims, array-like), checked: one name for each dimension."""
    out = {}
    for name, (dims, values) in arrays.items():
        array = np.asarray(values)
        if array.ndim != len(dims):
            raise ValueError(f"{name}: {len(dims)} dimension names {dims} for an array of shape {array.shape}")
        out[name] = Labelled(tuple(dims), array)
    return out


def _pack(a: Labelled) -> list:
    values = np.ascontiguousarray(a.values)
    values = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return [list(a.dims), values.dtype.str, list(a.values.shape), values.tobytes()]


def _unpack(packed: list) -> Labelled:
    dims, dtype, shape, data = packed
    return Labelled(tuple(dims), np.frombuffer(data, dtype=np.dtype(dtype)).reshape(shape))
