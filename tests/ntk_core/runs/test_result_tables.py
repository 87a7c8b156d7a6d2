"""Results and theories as tables: every number is in its row, once a cell."""

from __future__ import annotations

import io
import math

import numpy as np
import pandas
import pytest

from ntk_core.runs import tables
from ntk_core.runs.arrays import labelled
from ntk_core.runs.result import Result
from ntk_core.runs.theory import Theory
from tests.ntk_core.runs.results import finished, schema

COLUMNS = ["time", "width", "seed", "gamma", "kernel", "cost", "diverged"]


def csv(found):
    return pandas.read_csv(io.BytesIO(tables.to_csv(found)))


def parquet(found):
    return pandas.read_parquet(io.BytesIO(tables.to_parquet(found)))


@pytest.mark.parametrize("read", [csv, parquet])
def test_a_result_has_a_row_a_cell(read):
    result = finished()
    table = read(result)
    assert list(table.columns) == COLUMNS
    assert len(table) == 3 * 2 * 2 * 5
    for name in ("kernel", "cost", "diverged"):
        cells = table.set_index(COLUMNS[:4])[name]
        for t, w, s, g in np.ndindex(3, 2, 2, 5):
            at = tuple(result[dim][k] for dim, k in zip(COLUMNS, (t, w, s, g), strict=False))
            wanted = result[name][t, w, s, g] if name == "kernel" else result[name][t, w, s]
            np.testing.assert_array_equal(np.asarray(cells.loc[at], result[name].dtype), wanted)


def test_types_and_attributes_stay_in_parquet():
    result = finished()
    table = parquet(result)
    assert table.dtypes.astype(str).tolist() == ["float64", "int64", "int64", "float64", "float32", "float64", "bool"]
    assert table.attrs == result.attrs


def test_cells_that_were_not_reached_have_no_row():
    result = Result(schema())
    result.present[0, 1] = True
    table = tables.to_frame(result)
    assert table[["time", "width"]].drop_duplicates().to_numpy().tolist() == [[0.0, 16.0]]
    assert len(table) == 2 * 5
    assert len(tables.to_frame(Result(schema()))) == 0


def test_a_theory_has_rows_for_each_set_of_dimensions():
    theory = Theory(
        labelled(
            gamma=(("gamma",), [0.0, 1.0, 2.0]),
            times=(("times",), [0.0, math.inf]),
            mean=(("times", "gamma"), np.arange(6.0).reshape(2, 3)),
            kernel=(("gamma",), [7.0, 8.0, 9.0]),
            label=(("point",), np.array([3, 4], np.int16)),
            right=(("point",), [True, False]),
        )
    )
    table = csv(theory)
    assert list(table.columns) == ["times", "gamma", "point", "mean", "kernel", "label", "right"]
    assert len(table) == 6 + 2
    assert table["mean"][:6].tolist() == list(range(6))
    assert table["kernel"][:6].tolist() == [7.0, 8.0, 9.0] * 2
    assert math.isinf(table["times"][5])
    assert b"\n,,0,,,3,True\n,,1,,,4,False\n" in tables.to_csv(theory)
    assert parquet(theory)["label"][6:].tolist() == [3, 4]


def test_numbers_without_dimensions():
    table = csv(Theory(labelled(a=((), 2.5), x=(("x",), [1.0, 2.0]), b=(("x",), [3.0, 4.0]))))
    assert table["a"].tolist() == [2.5, 2.5]
    assert csv(Theory(labelled(a=((), 2.5))))["a"].tolist() == [2.5]


def test_too_many_rows_are_refused(monkeypatch):
    monkeypatch.setattr(tables, "MAX_ROWS", 59)
    with pytest.raises(ValueError, match=r"^table: it would have 60 rows, 59 at most are written; take netCDF instead"):
        tables.to_csv(finished())


def test_formats_have_endings():
    assert {name: ending for name, (ending, _) in tables.FORMATS.items()} == {
        "netcdf": "nc", "csv": "csv", "parquet": "parquet",
    }  # fmt: skip
    for _, make in tables.FORMATS.values():
        assert isinstance(make(finished()), bytes)
