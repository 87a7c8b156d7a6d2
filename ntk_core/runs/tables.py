"""Results and theories as tidy tables, CSV and Parquet: a row for each cell, its dimensions as columns.

Arrays whose dimensions are among another's stand beside it and repeat along what they lack. Arrays with dimensions that
no other has (a theory's training points) get rows of their own, in which the other columns are empty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ntk_core.runs import arrays as wire
from ntk_core.runs.files import MASKS, contents, to_netcdf
from ntk_core.runs.result import Result

if TYPE_CHECKING:
    import pandas

    from ntk_core.runs.arrays import Labelled
    from ntk_core.runs.theory import Theory

MAX_ROWS = 20_000_000


def to_frame(found: Result | Theory) -> pandas.DataFrame:
    """Everything as one table; rows of cells that a result has not reached are left out.

    Raises:
        ValueError: the table would have more than `MAX_ROWS` rows.
    """
    import pandas

    arrays, attrs = contents(found)
    sizes = {dim: size for a in arrays.values() for dim, size in zip(a.dims, np.shape(a.values), strict=True)}
    groups = _groups(arrays)
    rows = sum(int(np.prod([sizes[dim] for dim in dims], dtype=np.int64)) for dims in groups)
    if rows > MAX_ROWS:
        raise ValueError(f"table: it would have {rows:,} rows, {MAX_ROWS:,} at most are written; take netCDF instead")
    blocks = [_block(arrays, dims, names) for dims, names in groups.items()]
    if len(blocks) > 1:
        blocks = [block.astype(_nullable(block)) for block in blocks]
    frame = pandas.concat(blocks, ignore_index=True)
    columns = dict.fromkeys([dim for dims in groups for dim in dims] + list(frame.columns))
    frame = frame[list(columns)]
    frame.attrs = attrs
    return frame


def to_csv(found: Result | Theory) -> bytes:
    """`to_frame` as CSV in UTF-8; what is not a number is an empty field."""
    return to_frame(found).to_csv(index=False).encode()


def to_parquet(found: Result | Theory) -> bytes:
    """`to_frame` as Parquet, with the attributes in its metadata."""
    return to_frame(found).to_parquet(index=False)


FORMATS: dict[str, tuple[str, Callable[[Result | Theory], bytes]]] = {
    "netcdf": ("nc", to_netcdf),
    "csv": ("csv", to_csv),
    "parquet": ("parquet", to_parquet),
}  # by name: how its files end, and what makes them


def _groups(arrays: dict[str, Labelled]) -> dict[tuple[str, ...], list[str]]:
    """The arrays by the set of dimensions that they are shown along, largest first; coordinates and masks left out."""
    shown = {name: a.dims for name, a in arrays.items() if a.dims != (name,) and name not in MASKS}
    shown = shown or {name: a.dims for name, a in arrays.items()}
    found: dict[tuple[str, ...], list[str]] = {}
    for dims in sorted(set(shown.values()), key=len, reverse=True):
        home = next((larger for larger in found if set(dims) <= set(larger)), dims)
        found.setdefault(home, []).extend(name for name in shown if shown[name] == dims)
    return found


def _nullable(block: pandas.DataFrame) -> dict[str, str]:
    """Types in which whole numbers and truth values stay what they are where other rows have none."""
    kinds = {"i": "Int64", "u": "UInt64", "b": "boolean"}
    return {name: kinds[dtype.kind] for name, dtype in block.dtypes.items() if dtype.kind in kinds}


def _block(arrays: dict[str, Labelled], dims: tuple[str, ...], names: list[str]) -> pandas.DataFrame:
    import pandas

    chosen = [*names, *(dim for dim in dims if dim in arrays and dim not in names)]
    present = arrays.get("present")
    masked = present is not None and set(present.dims) <= set(dims)
    dataset = wire.to_dataset({name: arrays[name] for name in [*chosen, *(["present"] if masked else [])]}, {})
    frame = (
        dataset.to_dataframe(dim_order=list(dims)).reset_index() if dims else pandas.DataFrame([dataset.to_pandas()])
    )
    if masked:
        frame = frame[frame.pop("present").to_numpy(bool)]
    return frame[[*dims, *(name for name in names if name not in dims)]]
