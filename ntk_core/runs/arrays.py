"""Labelled arrays: numbers with the names of their dimensions, what they are and in which unit; small on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import xarray


class Labelled(NamedTuple):
    """An array, the names of its dimensions, e.g. ("width", "seed", "gamma"), and what it is in words."""

    dims: tuple[str, ...]
    values: np.ndarray
    long_name: str = ""
    units: str = ""

    @property
    def attrs(self) -> dict[str, str]:
        """long_name and units as the netCDF conventions have them; those that are empty are left out."""
        return {key: text for key, text in (("long_name", self.long_name), ("units", self.units)) if text}


def labelled(**arrays: tuple) -> dict[str, Labelled]:
    """Labelled arrays from name = (dims, array-like[, long_name[, units]]), checked: a name for each dimension."""
    out = {}
    for name, (dims, values, *words) in arrays.items():
        array = np.asarray(values)
        if array.ndim != len(dims):
            raise ValueError(f"{name}: {len(dims)} dimension names {dims} for an array of shape {array.shape}")
        out[name] = Labelled(tuple(dims), array, *words)
    return out


def to_dataset(arrays: Mapping[str, Labelled], attrs: Mapping[str, Any]) -> xarray.Dataset:
    """An `xarray.Dataset`; a one-dimensional array named after its dimension becomes that dimension's coordinate."""
    import xarray

    made = {name: (a.dims, a.values, a.attrs) for name, a in arrays.items()}
    coords = {name: variable for name, variable in made.items() if variable[0] == (name,)}
    return xarray.Dataset({k: v for k, v in made.items() if k not in coords}, coords, dict(attrs))


def pack(values: np.ndarray) -> list:
    """An array as [dtype, shape, raw little-endian bytes]."""
    values = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return [values.dtype.str, list(values.shape), values.tobytes()]


def unpack(packed: list) -> np.ndarray:
    """The inverse of `pack`; the array is read-only."""
    dtype, shape, data = packed
    return np.frombuffer(data, dtype=np.dtype(dtype)).reshape(shape)
