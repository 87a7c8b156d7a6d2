"""Snapshots on the wire, as datasets and as tables."""

import numpy as np
import pytest

from ntk_core.runs.snapshot import Snapshot, labelled


def snapshot():
    arrays = labelled(
        width=(("width",), [50, 1000]),
        f=(("width", "seed"), np.arange(6, dtype=np.float32).reshape(2, 3)),
        label=(("seed",), np.array([1, 2, 3], dtype=np.int64)),
    )
    return Snapshot(2, 4.5, arrays, complete=False, progress=0.25, info={"device": "cpu", "widths": [1, 2]})


def test_bytes_keep_everything():
    again = Snapshot.from_bytes(snapshot().to_bytes())
    assert (again.index, again.time, again.complete, again.progress) == (2, 4.5, False, 0.25)
    assert again.info == snapshot().info
    for name, array in snapshot().arrays.items():
        assert again.arrays[name].dims == array.dims
        assert again[name].dtype == array.values.dtype
        np.testing.assert_array_equal(again[name], array.values)


def test_a_transposed_array_survives():
    arrays = labelled(x=(("a", "b"), np.arange(6.0).reshape(2, 3).T))
    np.testing.assert_array_equal(Snapshot.from_bytes(Snapshot(0, 0.0, arrays).to_bytes())["x"], arrays["x"].values)


def test_a_dataset_has_coordinates():
    dataset = snapshot().to_dataset()
    assert dataset["f"].sel(width=1000).values.tolist() == [3, 4, 5]
    assert dataset.attrs["time"] == 4.5


def test_a_table_has_a_row_an_entry():
    table = snapshot().to_frame("f")
    assert list(table.columns)[:2] == ["width", "seed"]
    assert table[table.width == 1000]["value"].tolist() == [3, 4, 5]
    with pytest.raises(ValueError, match="f, label, width"):
        snapshot().to_frame("g")


def test_labels_must_fit():
    with pytest.raises(ValueError, match="f: 1 dimension names"):
        labelled(f=(("a",), np.zeros((2, 2))))
