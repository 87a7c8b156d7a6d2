"""Results and theories as netCDF: nothing is lost, others can read it, and no damage goes unseen."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys

import numpy as np
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.io import netcdf_file

from ntk_core.runs import files
from ntk_core.runs.arrays import Labelled, labelled
from ntk_core.runs.result import Result, Schema, Variable
from ntk_core.runs.theory import Theory
from tests.ntk_core.runs.results import CELLS, assert_same, finished, schema

DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
]  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


def within(dtype):
    kind = np.dtype(dtype)
    if kind.kind not in "iu" or kind.itemsize < 8:
        return npst.from_dtype(kind)
    return st.integers(0 if kind.kind == "u" else -(2**53), 2**53)


ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: npst.arrays(
        dtype,
        npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4).filter(lambda shape: 0 not in shape[1:]),
        elements=within(dtype),
    )
)


def equal(left: Labelled, right: Labelled) -> bool:
    same = left.values.dtype == right.values.dtype and left.values.tobytes() == right.values.tobytes()
    return same and left._replace(values=0) == right._replace(values=0)


class TestResults:
    def test_everything_comes_back(self):
        result = finished()
        assert_same(files.result_from_netcdf(files.to_netcdf(result)), result)

    def test_holes_and_lost_parts_come_back(self):
        result = Result(schema())
        result.values["cost"][0, 0] = 1.0
        result.present[0, 0] = True
        result.give_up({"width": 1})
        again = files.result_from_netcdf(files.to_netcdf(result))
        assert_same(again, result)
        assert np.isnan(again["cost"][0, 1]).all()

    def test_what_came_back_can_grow(self):
        again = files.result_from_netcdf(files.to_netcdf(Result(schema())))
        again.values["kernel"][0] = 3.0
        assert again.times.tolist() == [0.0, 2.0, 5.0]

    def test_others_read_it(self):
        """By plain SciPy, and by xarray with its defaults."""
        result = finished()
        data = files.to_netcdf(result)
        with netcdf_file(io.BytesIO(data), "r", mmap=False) as opened:
            assert opened.variables["kernel"].dimensions == (*CELLS, "gamma")
            assert opened.variables["gamma"].units == b"rad"
            np.testing.assert_array_equal(opened.variables["kernel"][:], result["kernel"])
            assert json.loads(opened.spec)["widths"] == [8, 16]
        with xarray.open_dataset(io.BytesIO(data), engine="scipy") as dataset:
            assert dataset["kernel"].sel(width=16, seed=1).shape == (3, 5)
            assert dataset["kernel"].attrs["long_name"] == "tangent kernel Θ(x₀, x)"
            assert dataset.attrs["seconds"] == 12.5
            assert dataset["diverged"].dtype == bool

    def test_the_largest_seeds(self):
        """They do not fit 32 bits."""
        coords = labelled(time=(("time",), [0.0]), width=(("width",), [1]), seed=(("seed",), [2**31 - 1, 2**31 + 98]))
        result = Result(Schema(coords, {"cost": Variable(CELLS, "cost")}))
        again = files.result_from_netcdf(files.to_netcdf(result))
        assert again["seed"].tolist() == [2**31 - 1, 2**31 + 98]
        assert again["seed"].dtype == np.int64

    def test_a_dimension_named_by_texts(self):
        coords = labelled(activation=(("activation",), ["relu", "σ", ""]))
        result = Result(Schema(coords, {"x": Variable(("activation",), "x")}, ("activation",)))
        assert files.result_from_netcdf(files.to_netcdf(result))["activation"].tolist() == ["relu", "σ", ""]

    def test_names_that_a_file_needs_for_itself(self):
        result = Result(Schema(schema().coords, {"present": Variable(CELLS, "x")}))
        with pytest.raises(ValueError, match=r"^present: "):
            files.to_netcdf(result)
        for name in ("digest", "two words", ""):
            with pytest.raises(ValueError, match=rf"^{name}: a file can have no attribute of this name"):
                files.to_netcdf(Result(schema(), {name: 1}))

    def test_numbers_that_cannot_be_held(self):
        with pytest.raises(ValueError, match=r"^n: netCDF 3 holds whole numbers up to 2\^53"):
            files.to_netcdf(Theory(labelled(n=(("x",), [2**60]))))
        with pytest.raises(ValueError, match=r"^z: netCDF 3 has no numbers of type complex128"):
            files.to_netcdf(Theory(labelled(z=(("x",), [1j]))))
        with pytest.raises(ValueError, match=r"^e: netCDF 3 has no arrays of shape \(2, 0\)"):
            files.to_netcdf(Theory(labelled(e=(("x", "y"), np.zeros((2, 0))))))


class TestTheories:
    def test_infinite_time_and_facts_come_back(self):
        theory = Theory(
            labelled(times=(("times",), [0.0, math.inf]), mean=(("times", "x"), [[1.0, math.nan]] * 2, "mean", "1")),
            {"rule": "momentum", "stable_rate": None, "largest": 2.5, "n": 3, "wide": True, "list": [1, "a"]},
        )
        again = files.theory_from_netcdf(files.to_netcdf(theory))
        assert again.info == theory.info
        assert all(equal(again.arrays[name], theory.arrays[name]) for name in ("times", "mean"))

    @settings(max_examples=60, deadline=None)
    @given(
        ARRAYS,
        TEXT,
        st.dictionaries(st.from_regex(r"[a-z]\w{0,8}", fullmatch=True).filter(str.isascii), JSON, max_size=4),
    )
    def test_any_array_and_any_fact_comes_back(self, values, words, info):
        info = {f"fact_{name}": value for name, value in info.items()}
        made = Labelled(tuple(f"d{k}" for k in range(values.ndim)), values, words, "rad")
        again = files.theory_from_netcdf(files.to_netcdf(Theory({"values": made}, info)))
        assert equal(again.arrays["values"], made)
        assert again.info == info


class TestDamage:
    DATA = files.to_netcdf(finished(angles=3))

    def served(self, data: bytes) -> None:
        """Refused with the one sentence, or whole."""
        again = self.outcome(data)
        if isinstance(again, str):
            assert again.startswith("file: it is damaged, or not a ")
        else:
            assert_same(again, files.result_from_netcdf(self.DATA))

    @staticmethod
    def outcome(data: bytes) -> Result | str:
        try:
            return files.result_from_netcdf(data)
        except ValueError as error:
            return str(error)

    def test_every_truncation(self):
        for end in {*range(0, 200), *range(200, len(self.DATA), 37), *range(len(self.DATA) - 40, len(self.DATA))}:
            self.served(self.DATA[:end])
        with pytest.raises(ValueError, match=r"^file: it is damaged"):
            files.result_from_netcdf(self.DATA[: len(self.DATA) // 2])

    @pytest.mark.filterwarnings("ignore:Duplicate dimension names")
    @settings(max_examples=300, deadline=None)
    @given(st.integers(0, 8 * len(DATA) - 1))
    def test_any_bit_that_flips(self, bit):
        damaged = bytearray(self.DATA)
        damaged[bit // 8] ^= 1 << bit % 8
        self.served(bytes(damaged))

    def test_a_number_that_changed(self):
        """Where it is known to be a number, and not padding."""
        place = self.DATA.index(np.array(2.0, ">f8").tobytes())
        damaged = self.DATA[:place] + np.array(2.5, ">f8").tobytes() + self.DATA[place + 8 :]
        with pytest.raises(ValueError, match=r"^file: it is damaged"):
            files.result_from_netcdf(damaged)

    @pytest.mark.parametrize("data", [b"", b"CDF", b"{}", b"CDF\x01" + b"\xff" * 100, b"\x89HDF\r\n\x1a\n" + bytes(50)])
    def test_other_files(self, data):
        with pytest.raises(ValueError, match=r"^file: it is damaged, or not a netCDF file"):
            files.result_from_netcdf(data)

    def test_netcdf_of_somebody_else(self):
        data = bytes(xarray.Dataset({"a": (("x",), [1.0])}).to_netcdf(engine="scipy"))
        with pytest.raises(ValueError, match=r"not a result that this program wrote"):
            files.result_from_netcdf(data)

    def test_a_theory_is_no_result(self):
        data = files.to_netcdf(Theory(labelled(a=(("x",), [1.0]))))
        with pytest.raises(ValueError, match=r"not a result that this program wrote"):
            files.result_from_netcdf(data)


class TestHeader:
    def test_it_has_the_attributes(self, tmp_path):
        path, result = tmp_path / "a.nc", finished()
        path.write_bytes(files.to_netcdf(result))
        for mmap in (True, False):
            with path.open("rb") as file:
                assert result.attrs.items() <= files.header(file, mmap).items()

    def test_a_mapped_file_must_have_its_end(self, tmp_path):
        path = tmp_path / "a.nc"
        path.write_bytes(files.to_netcdf(finished())[:-500])
        with path.open("rb") as file, pytest.raises(ValueError, match=r"^file: it is damaged"):
            files.header(file, mmap=True)


def test_the_library_reads_no_files_until_asked():
    code = (
        "import sys; import ntk_core, ntk_core.runs.files, ntk_core.runs.tables, ntk_core.runs.store, "
        "ntk_core.runs.replay; print(*{'xarray', 'pandas', 'pyarrow', 'torch', 'fsspec'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == []
