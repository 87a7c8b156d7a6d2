"""The limit's numbers on their way over the wire and into a labelled data set."""

import numpy as np

from ntk_core.runs.arrays import labelled
from ntk_core.runs.theory import Theory


def made() -> Theory:
    arrays = labelled(
        gamma=(("gamma",), np.linspace(-1, 1, 3), "angle", "rad"),
        kernel=(("gamma", "other"), np.array([[1.5, np.nan], [np.inf, -np.inf], [0.1, 2.0]]), "kernel", "1"),
        count=(("point",), np.array([1, 2], np.int16)),
        flag=(("point",), np.array([True, False])),
        empty=(("none",), np.empty(0)),
    )
    return Theory(arrays, {"stable_rate": 12.6, "rule": "gradient_descent", "notes": ["one"], "half_time": None})


def test_the_wire_changes_nothing():
    theory = made()
    back = Theory.from_bytes(theory.to_bytes())
    assert back.info == theory.info
    assert list(back.arrays) == list(theory.arrays)
    for name, array in theory.arrays.items():
        found = back.arrays[name]
        assert (found.dims, found.long_name, found.units) == (array.dims, array.long_name, array.units)
        assert found.values.dtype == array.values.dtype
        np.testing.assert_array_equal(found.values, array.values)


def test_it_is_asked_by_name():
    assert "kernel" in made()
    assert "peak" not in made()
    assert made()["count"].tolist() == [1, 2]


def test_a_data_set_has_coordinates_units_and_the_facts_that_are_numbers_or_texts():
    found = made().to_dataset()
    assert "gamma" in found.coords
    assert found["gamma"].attrs["units"] == "rad"
    assert found["kernel"].dims == ("gamma", "other")
    assert found.attrs == {"stable_rate": 12.6, "rule": "gradient_descent"}
