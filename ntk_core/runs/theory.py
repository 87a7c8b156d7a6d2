"""What the infinite limit says of a spec: labelled arrays and a few facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgpack
import numpy as np

from ntk_core.runs import arrays as wire
from ntk_core.runs.arrays import Labelled

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True)
class Theory:
    """The limit, as a chart draws it.

    Attributes:
        arrays: the numbers, by name. A one-dimensional array named after its dimension is that dimension's coordinate.
        info: facts for the page, e.g. {"stable_rate": 12.6, "rule": "gradient_descent"}; JSON types only.
    """

    arrays: Mapping[str, Labelled]
    info: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name].values

    def __contains__(self, name: str) -> bool:
        return name in self.arrays

    def to_bytes(self) -> bytes:
        """Everything packed with msgpack."""
        packed = {name: [list(a.dims), wire.pack(a.values), a.long_name, a.units] for name, a in self.arrays.items()}
        return msgpack.packb([packed, dict(self.info)], use_bin_type=True)

    @classmethod
    def from_bytes(cls, data: bytes) -> Theory:
        """The inverse of `to_bytes`."""
        packed, info = msgpack.unpackb(data, raw=False)
        made = {
            name: Labelled(tuple(dims), wire.unpack(values), *words) for name, (dims, values, *words) in packed.items()
        }
        return cls(made, info)

    def to_dataset(self) -> xarray.Dataset:
        """The arrays as an `xarray.Dataset`; facts that are numbers or texts become its attributes."""
        return wire.to_dataset(self.arrays, {k: v for k, v in self.info.items() if isinstance(v, int | float | str)})
