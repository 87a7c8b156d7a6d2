"""Results that grow by increments: order and repetition do not matter, holes stay holes, moments and histories."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntk_core.runs.arrays import labelled
from ntk_core.runs.result import Increment, Result, Schema, Variable

CELLS = ("time", "width", "seed")
SHAPE = (4, 2, 3)


def schema() -> Schema:
    coords = labelled(
        time=(("time",), [0.0, 1.0, 4.0, 9.0]), width=(("width",), [50, 1000], "neurons", "1"),
        seed=(("seed",), [0, 1, 2]), x=(("x",), [0.0, 0.5]),
    )  # fmt: skip
    variables = {"f": Variable((*CELLS, "x"), "output"), "bad": Variable(CELLS, "diverged", dtype="bool")}
    return Schema(coords, variables, CELLS)


def increment(time: int, width: int, first: int, last: int) -> Increment:
    seeds = np.arange(first, last)
    f = 100.0 * time + 10 * width + seeds[:, None] + np.array([0.0, 0.25])
    place = {"time": time, "width": width, "seed": (first, last)}
    return Increment(place, {"f": f, "bad": seeds == 2}, progress=0.5)


ALL = [increment(t, w, a, b) for t in range(4) for w in range(2) for a, b in ((0, 2), (2, 3))]


def whole() -> Result:
    result = Result(schema())
    for one in ALL:
        result.add(one)
    return result


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, len(ALL) - 1), max_size=40), st.permutations(range(len(ALL))))
def test_order_and_repetition_do_not_matter(first, order):
    result = Result(schema())
    for k in [*first, *order]:
        result.add(Increment.from_bytes(ALL[k].to_bytes()))
    for name, array in whole().values.items():
        np.testing.assert_array_equal(result[name], array)
    assert result.present.all()


def test_what_has_not_come_is_nan_and_its_moment_is_not_complete():
    result = Result(schema())
    for one in ALL[:6]:
        result.add(one)
    assert np.isnan(result["f"][1, 1, 0]).all()
    assert (result.complete(0), result.complete(1), result.begun(1), result.begun(2)) == (True, False, True, False)


def test_a_failed_parts_cells_are_holes_and_the_others_complete():
    result = Result(schema())
    for one in ALL:
        if one.place["width"] == 0:
            result.add(one)
    assert not result.complete(2)
    result.give_up({"width": 1})
    assert all(result.complete(k) for k in range(4))
    assert np.isnan(result["f"][:, 1]).all()
    assert not result.lost[:, 0].any()


def test_networks_that_are_behind_show_their_last_values():
    result = Result(schema())
    for one in ALL[:6]:  # width 0 at t = 0, 1; width 1 at t = 0 only
        result.add(one)
    now = result.now("f", 1)
    np.testing.assert_array_equal(now[0], result["f"][1, 0])
    np.testing.assert_array_equal(now[1], result["f"][0, 1])
    assert np.isnan(Result(schema()).now("f", 3)).all()
    assert result.until("f", 1).shape == (2, 3, 2, 2)
    assert result.reached(3).tolist() == [[1, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize(("time", "index"), [(0.0, 0), (0.99, 0), (1.0, 1), (4.0 - 1e-13, 2), (8.0, 2), (np.inf, 3)])
def test_moments_are_found_by_time(time, index):
    assert whole().index_of(time) == index


def test_bytes_and_dataset_keep_everything():
    result = whole()
    result.attrs = {"seconds": 1.5, "key": "toy"}
    again = Result.from_bytes(schema(), result.to_bytes())
    assert again.attrs == result.attrs
    assert again.present.all()
    for name, array in result.values.items():
        np.testing.assert_array_equal(again[name], array)
    dataset = result.to_dataset()
    assert dataset["f"].sel(width=1000, seed=1, time=4.0).values.tolist() == [211.0, 211.25]
    assert dataset["width"].attrs == {"long_name": "neurons", "units": "1"}
    table = result.to_frame("bad")
    assert list(table.columns) == ["time", "width", "seed", "value"]
    assert len(table) == 24
    with pytest.raises(ValueError, match="'g' is not among bad, f"):
        result.to_frame("g")


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="g: the result has no such variable; it has f, bad"):
        Result(schema()).add(Increment({"time": 0}, {"g": 1.0}))
    smaller = Schema(schema().coords | labelled(x=(("x",), [0.0])), schema().variables, CELLS)
    with pytest.raises(ValueError, match="another shape"):
        Result.from_bytes(smaller, whole().to_bytes())
    with pytest.raises(ValueError, match="f: its dimensions must begin with"):
        Schema(schema().coords, {"f": Variable(("x", "time"), "output")}, CELLS)
    with pytest.raises(ValueError, match="f: 1 dimension names"):
        labelled(f=(("a",), np.zeros((2, 2))))


@pytest.mark.parametrize(
    ("place", "values", "sentence"),
    [
        ({"time": 0, "widht": 0}, {}, "place: "),
        ({"time": 4, "width": 0}, {}, "place: "),
        ({"time": 0, "width": 0, "seed": (1, 9)}, {}, "place: "),
        ({"time": 0, "width": 0, "seed": (0, 3)}, {"f": np.float32(1)}, "f: numbers of shape"),
        ({"time": 0, "width": 0, "seed": (0, 3)}, {"bad": np.zeros(3, bool), "g": np.zeros(3)}, "g: "),
    ],
)
def test_an_increment_that_does_not_fit_changes_nothing(place, values, sentence):
    result = Result(schema())
    with pytest.raises(ValueError, match=f"^{sentence}"):
        result.add(Increment(place, values))
    assert not result.present.any()
    assert np.isnan(result["f"]).all()


def test_holes_survive_the_wire():
    result = Result(schema())
    result.add(ALL[0])
    result.give_up({"width": 1})
    again = Result.from_bytes(schema(), result.to_bytes())
    np.testing.assert_array_equal(again.lost, result.lost)


def test_a_result_without_times_is_one_moment():
    coords = labelled(width=(("width",), [1, 2, 3]))
    result = Result(Schema(coords, {"v": Variable(("width",), "v")}, ("width",)))
    assert (result.times.tolist(), result.complete(0), result.begun(0)) == ([0.0], False, False)
    for k in range(3):
        result.add(Increment({"width": k}, {"v": np.float32(k)}))
    assert result.complete(0)
    assert result["v"].tolist() == [0, 1, 2]
