"""References to data: each kind resolves to points, targets and labels; what names nothing is refused."""

import numpy as np
import pytest

from ntk_core import data
from ntk_core.data import digits, references
from tests.ntk_core.data.test_data import write_idx

TEXT = "a,b,kind\n" + "".join(f"{i},{i * i},{'xyz'[i % 3]}\n" for i in range(30))


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("NTK_DATA", str(tmp_path / "tables"))
    references._kept.cache_clear()
    yield tmp_path
    references._kept.cache_clear()


@pytest.mark.parametrize("reference", ["digits", "mnist", "fashion", "gaussian", "circle", "own:" + "0f" * 16])
def test_good_references(reference):
    assert data.check_reference(reference) == reference


@pytest.mark.parametrize("reference", ["", "digit", "own:", "own:" + "0F" * 16, "own:../x", "circle\n", 3, "x" * 999])
def test_bad_references_are_named(reference):
    with pytest.raises(ValueError, match=r"^data: .* names no data; choose one of digits, mnist") as caught:
        data.check_reference(reference)
    assert len(str(caught.value)) < 250


def test_a_spec_takes_some_of_the_sets_and_any_table():
    assert data.check_reference("four_points", ("circle", "four_points")) == "four_points"
    assert data.check_reference("own:" + "0f" * 16, ("circle",)).startswith(data.OWN)
    with pytest.raises(
        ValueError, match=r"^data: 'gaussian' names no data; choose one of circle, four_points, or own: "
    ):
        data.check_reference("gaussian", ("circle", "four_points"))


def test_digits_and_their_classes():
    sample = data.resolve("digits", 40, classes=(7, 2, 5), seed=3)
    batch = digits.batch(40, (2, 5, 7), 3)
    np.testing.assert_array_equal(sample.inputs, batch.inputs)
    np.testing.assert_array_equal(np.array([2, 5, 7])[sample.labels], batch.labels)
    assert sample.classes == ("2", "5", "7")
    np.testing.assert_allclose(sample.targets, np.eye(3)[sample.labels] - 1 / 3)
    pair = data.resolve("digits", 40, classes=(3, 8))
    np.testing.assert_array_equal(pair.targets, np.where(pair.labels == 1, 1.0, -1.0))
    assert data.available("digits", (3, 8)) == 1000
    assert len(data.resolve("digits", classes=(3, 8)).inputs) == 1000


@pytest.mark.parametrize("reference", ["digits", "gaussian", "own"])
def test_a_smaller_draw_begins_a_larger_one(reference):
    if reference == "own":
        reference = data.keep(data.choose(data.parse(TEXT)))
    few, many = data.resolve(reference, 10, seed=1), data.resolve(reference, 25, seed=1)
    np.testing.assert_array_equal(few.inputs, many.inputs[:10])
    np.testing.assert_array_equal(few.targets, many.targets[:10])
    assert not np.array_equal(many.inputs, data.resolve(reference, 25, seed=2).inputs)


def test_made_points():
    X, y, labels, classes, rows = data.resolve("gaussian", 6, seed=2)
    np.testing.assert_array_equal(y, X[:, 0] * X[:, 1])
    np.testing.assert_array_equal(labels, np.sign(y))
    assert (classes, rows.tolist()) == ((), [0, 1, 2, 3, 4, 5])
    sample = data.resolve("circle", 5)
    np.testing.assert_allclose(np.linalg.norm(sample.inputs, axis=1), 1)
    assert data.available("circle") is None
    with pytest.raises(ValueError, match=r"^n_train: how many points of circle"):
        data.resolve("circle")


def test_a_table_of_ones_own():
    table = data.choose(data.parse(TEXT))
    reference = data.keep(table)
    assert data.check_reference(reference).startswith("own:")
    sample = data.resolve(reference)
    np.testing.assert_array_equal(sample.inputs, table.inputs[sample.rows])
    np.testing.assert_array_equal(sample.targets, table.targets[sample.rows])
    assert sorted(sample.rows.tolist()) == list(range(30))
    assert (sample.classes, data.available(reference)) == (("x", "y", "z"), 30)
    with pytest.raises(ValueError, match=r"^n_train: 31 points were asked for; the table has 30 rows"):
        data.resolve(reference, 31)


def test_a_table_that_is_gone_says_so(place):
    reference = data.keep(data.choose(data.parse(TEXT)))
    for path in (place / "tables").iterdir():
        path.unlink()
    with pytest.raises(data.GoneError, match="gone"):
        data.resolve(reference)
    with pytest.raises(data.GoneError, match="gone"):
        data.available(reference)


def test_one_class_of_digits_is_refused():
    with pytest.raises(ValueError, match=r"^classes: only 4 is chosen"):
        data.resolve("digits", 10, classes=(4,))


def test_fashion_is_read_from_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.delenv(digits.FASHION_VARIABLE, raising=False)
    with pytest.raises(ValueError, match=r"^data: .*NTK_FASHION_DIR"):
        data.resolve("fashion", 5)
    folder = tmp_path / "fashion"
    folder.mkdir()
    monkeypatch.setenv(digits.FASHION_VARIABLE, str(folder))
    pictures = np.random.default_rng(0).integers(0, 256, (40, 28, 28), np.uint8)
    write_idx(folder / "train-images.idx3-ubyte", pictures)
    write_idx(folder / "train-labels-idx1-ubyte", np.arange(40, dtype=np.uint8) % 10)
    sample = data.resolve("fashion", 8, classes=(0, 9))
    assert sample.classes == ("T-shirt/top", "Ankle boot")
    np.testing.assert_allclose(sample.inputs * 255, pictures[sample.rows].reshape(8, 784))
