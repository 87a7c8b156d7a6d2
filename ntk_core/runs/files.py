"""Results and theories as netCDF files: read by anyone's software, and by this one only if every number is as written.

The form is netCDF 3 by xarray's scipy engine, which needs nothing beyond SciPy. It lacks some types: arrays that had to
be widened say in their attribute `numpy_dtype` what they were; attributes that are neither texts nor numbers are JSON,
and `json_attributes` lists them. `digest` is the SHA-256 of everything else in the file, see `_digest`.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from ntk_core.runs import arrays as wire
from ntk_core.runs.arrays import Labelled
from ntk_core.runs.result import Result, Schema, Variable
from ntk_core.runs.theory import Theory

MASKS = {"present": "whether this cell was reached", "lost": "whether this cell never will be: its part failed"}

_OWN = ("contents", "digest", "json_attributes")
_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)
_WIDER = {"uint8": "int16", "uint16": "int32", "float16": "float32"}
_HELD = ("bool", "int8", "int16", "int32", "float32", "float64")

Arrays = dict[str, Labelled]


def to_netcdf(found: Result | Theory) -> bytes:
    """A result or a theory as the bytes of a netCDF file.

    Raises:
        ValueError: a variable has a name that the file needs for itself, or numbers that netCDF 3 cannot hold.
    """
    arrays, attrs = contents(found)
    own = {"contents": type(found).__name__.lower(), "digest": _digest(arrays, attrs)}
    dataset = wire.to_dataset({name: _holdable(name, a) for name, a in arrays.items()}, _plain(attrs) | own)
    for name, variable in dataset.variables.items():
        variable.encoding["_FillValue"] = None  # NaN says so itself
        kind = arrays[str(name)].values.dtype
        if kind.name not in _HELD and kind.kind != "U":
            variable.attrs["numpy_dtype"] = kind.name
    return bytes(dataset.to_netcdf(engine="scipy"))


def result_from_netcdf(data: bytes) -> Result:
    """The result in a file that `to_netcdf` made.

    Raises:
        ValueError: the bytes are damaged, or of something else.
    """
    arrays, attrs = _read(data, "result")
    masks = {name: arrays.pop(name) for name in MASKS if name in arrays}
    cells = masks["present"].dims
    coords = {name: a for name, a in arrays.items() if a.dims == (name,)}
    variables = {
        name: Variable(a.dims, a.long_name, a.units, a.values.dtype.name)
        for name, a in arrays.items()
        if name not in coords
    }
    result = Result(Schema(coords, variables, cells), attrs)
    result.values = {name: arrays[name].values for name in variables}
    result.present = masks["present"].values
    if "lost" in masks:
        result.lost = masks["lost"].values
    return result


def theory_from_netcdf(data: bytes) -> Theory:
    """The theory in a file that `to_netcdf` made.

    Raises:
        ValueError: the bytes are damaged, or of something else.
    """
    return Theory(*_read(data, "theory"))


def header(file: BinaryIO, mmap: bool = False) -> dict[str, Any]:
    """Attributes of a netCDF file; mapped into memory, none of its numbers are read.

    Raises:
        ValueError: it is not a netCDF file, or (if mapped) its end is missing.
    """
    from scipy.io import netcdf_file

    try:
        with netcdf_file(file, "r", mmap=mmap) as opened:
            found = {name: _value(value) for name, value in opened._attributes.items()}
        return found | {name: json.loads(found[name]) for name in _json_names(found)}
    except Exception as error:  # whatever a damaged header makes of its reader
        raise ValueError("file: it is damaged, or not a netCDF file") from error


def contents(found: Result | Theory) -> tuple[Arrays, dict[str, Any]]:
    """All arrays of a result (with which cells were reached) or of a theory, and the attributes."""
    if isinstance(found, Theory):
        return dict(found.arrays), dict(found.info)
    schema, arrays = found.schema, dict(found.schema.coords)
    for name, variable in schema.variables.items():
        arrays[name] = Labelled(variable.dims, found.values[name], variable.long_name, variable.units)
    for name in ("present", "lost") if found.lost.any() else ("present",):
        if name in arrays:
            raise ValueError(f"{name}: a result's file needs this name for itself; the variable must have another")
        arrays[name] = Labelled(schema.cells, getattr(found, name), MASKS[name])
    return arrays, dict(found.attrs)


def _read(data: bytes, kind: str) -> tuple[Arrays, dict[str, Any]]:
    """Arrays and attributes of a file of that kind, whose digest was found right."""
    try:
        arrays, attrs = _unchecked(data)
        own = {name: attrs.pop(name, None) for name in _OWN}
        sound = own["digest"] == _digest(arrays, attrs)
    except Exception as error:  # whatever damaged bytes make of their readers
        raise ValueError("file: it is damaged, or not a netCDF file") from error
    if not sound or own["contents"] != kind:
        raise ValueError(f"file: it is damaged, or not a {kind} that this program wrote")
    return arrays, attrs


def _unchecked(data: bytes) -> tuple[Arrays, dict[str, Any]]:
    import xarray

    with xarray.open_dataset(
        io.BytesIO(data), engine="scipy", decode_times=False, mask_and_scale=False, decode_coords=False
    ) as dataset:
        arrays = {str(name): _labelled(variable) for name, variable in dataset.variables.items()}
        attrs = {str(name): _value(value) for name, value in dataset.attrs.items()}
    return arrays, attrs | {name: json.loads(attrs[name]) for name in _json_names(attrs)}


def _labelled(variable: Any) -> Labelled:
    values, attrs = np.asarray(variable.values), variable.attrs
    with np.errstate(all="ignore"):  # the digest tells whether the numbers are right
        kind = str if values.dtype.kind in "OSU" else np.dtype(attrs.get("numpy_dtype", values.dtype)).newbyteorder("=")
        values = np.array(values, dtype=kind)
    return Labelled(tuple(map(str, variable.dims)), values, attrs.get("long_name", ""), attrs.get("units", ""))


def _holdable(name: str, array: Labelled) -> Labelled:
    """The array in a type that netCDF 3 has and that holds every one of its numbers."""
    values = np.asarray(array.values)
    if 0 in values.shape[1:]:
        raise ValueError(
            f"{name}: netCDF 3 has no arrays of shape {values.shape}, empty along another than the first axis"
        )
    if values.dtype.kind == "U" or values.dtype.name in _HELD:
        return array
    if values.dtype.name in _WIDER:
        return array._replace(values=values.astype(_WIDER[values.dtype.name]))
    if values.dtype.kind not in "iu":
        raise ValueError(f"{name}: netCDF 3 has no numbers of type {values.dtype}")
    largest = max(abs(int(values.max())), abs(int(values.min()))) if values.size else 0
    if largest > 2**53:
        raise ValueError(f"{name}: netCDF 3 holds whole numbers up to 2^53, got one of size {largest}")
    return array._replace(values=values.astype("int32" if largest < 2**31 else "float64"))


def _plain(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes that netCDF 3 can hold."""
    for name in attrs:
        if not _NAME.fullmatch(name) or name in _OWN:
            raise ValueError(f"{name}: a file can have no attribute of this name")
    coded = {name: json.dumps(value) for name, value in attrs.items() if not _is_plain(value)}
    return {**attrs, **coded, "json_attributes": json.dumps(sorted(coded))}


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return value != "" and "\0" not in value and value.isprintable()
    return isinstance(value, float) or (type(value) is int and abs(value) < 2**31)


def _value(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if hasattr(value, "item") else value


def _json_names(attrs: Mapping[str, Any]) -> list[str]:
    return json.loads(attrs.get("json_attributes", "[]"))


def _digest(arrays: Mapping[str, Labelled], attrs: Mapping[str, Any]) -> str:
    """SHA-256 over the attributes as JSON, and each array by name: its words as JSON, then its little-endian bytes."""
    found = hashlib.sha256(json.dumps(attrs, sort_keys=True).encode())
    for name in sorted(arrays):
        dims, values, long_name, units = arrays[name]
        kind, shape, data = wire.pack(np.asarray(values))
        words = kind if values.dtype.kind != "U" else "text"  # its longest entry is no part of what it says
        found.update(json.dumps([name, dims, words, shape, long_name, units]).encode())
        found.update(json.dumps(values.tolist()).encode() if words == "text" else data)
    return found.hexdigest()
