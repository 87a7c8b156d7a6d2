"""Inputs and targets: facts about them, their checks, and digits from assets and from IDX files."""

import gzip
import hashlib
import struct
import subprocess
import sys

import numpy as np
import pytest

from ntk_core import data
from ntk_core.data import digits


def test_circle_points_lie_where_the_angles_say():
    X = data.circle([0.0, np.pi / 2, -np.pi])
    np.testing.assert_allclose(X, [[1, 0], [0, 1], [-1, 0]], atol=1e-15)


@pytest.mark.parametrize("angles", [[], [[0.0]], [np.nan], [np.inf]])
def test_circle_names_bad_angles(angles):
    with pytest.raises(ValueError, match=r"^angles: "):
        data.circle(angles)


def test_even_angles_are_even_around_the_whole_circle():
    gamma = data.even_angles(7)
    around = np.diff(np.append(gamma, gamma[0] + 2 * np.pi))
    np.testing.assert_allclose(around, 2 * np.pi / 7)
    assert data.angle_grid(181)[90] == 0.0


def test_gaussian_product_is_seeded_and_standard():
    X, y = data.gaussian_product(4000, seed=3)
    again, _ = data.gaussian_product(4000, seed=3)
    other, _ = data.gaussian_product(4000, seed=4)
    np.testing.assert_array_equal(X, again)
    assert not np.array_equal(X, other)
    np.testing.assert_array_equal(y, X[:, 0] * X[:, 1])
    assert abs(X.mean()) < 4 / np.sqrt(8000)
    assert abs(X.var() - 1) < 4 * np.sqrt(2 / 8000)


@pytest.mark.parametrize("name", list(data.TARGETS))
def test_targets_are_periodic_and_bounded(name):
    gamma = np.linspace(-3, 3, 50)
    values = data.circle_target(name, gamma)
    np.testing.assert_allclose(values, data.circle_target(name, gamma + 2 * np.pi), atol=1e-12)
    assert np.abs(values).max() <= 1


def test_product_target_is_the_product_of_the_coordinates():
    gamma = np.linspace(-3, 3, 50)
    np.testing.assert_allclose(data.circle_target("product", gamma), data.circle(gamma).prod(1))


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: data.gaussian_product(0, 0), "n_train"),
        (lambda: data.gaussian_product(5, -1), "data_seed"),
        (lambda: data.gaussian_product(5, 0, n_in=1), "n_in"),
        (lambda: data.gaussian_product(True, 0), "n_train"),
        (lambda: data.even_angles(10**9), "n_train"),
        (lambda: data.angle_grid(1), "angles"),
        (lambda: data.circle_target("sawtooth", [0.0]), "target"),
        (lambda: data.table([1.0, 2.0], [1.0, 2.0]), "X_train"),
        (lambda: data.table([[1.0], [2.0]], [1.0]), "y_train"),
        (lambda: data.table([[np.nan]], [1.0]), "X_train"),
        (lambda: data.table([[1.0]], [np.inf]), "y_train"),
        (lambda: data.table(np.zeros((0, 2)), []), "X_train"),
    ],
)
def test_bad_arguments_are_named(call, field):
    with pytest.raises(ValueError, match=f"^{field}: "):
        call()


def test_conflicts_are_equal_inputs_with_different_targets():
    X = [[0.0, 1.0], [2.0, 2.0], [-0.0, 1.0], [2.0, 2.0], [3.0, 3.0], [0.0, 1.0]]
    assert data.conflicts(X, [1, 5, 1, 5, 7, 2]) == [(0, 2, 5)]
    assert data.conflicts(X, [1, 5, 1, 5, 7, 1]) == []
    assert data.conflict_sentence(X, [1, 5, 1, 5, 7, 1]) is None
    assert "Training points 1, 3, 6 are the same input with different targets" in data.conflict_sentence(
        X, [1, 5, 1, 5, 7, 2]
    )


def test_conflicts_with_several_outputs():
    X = [[1.0], [1.0], [2.0], [2.0]]
    assert data.conflicts(X, [[0, 1], [0, 1], [0, 1], [0, 2]]) == [(2, 3)]


def test_digits_are_the_documented_file():
    assert hashlib.sha256(digits.ASSET.read_bytes()).hexdigest() in digits.__doc__.replace("\n", "")
    everything = digits.digits()
    assert everything.images.shape == (5000, 28, 28)
    np.testing.assert_array_equal(np.bincount(everything.labels), [500] * 10)
    with pytest.raises(ValueError, match="read-only"):
        everything.images[0, 0, 0] = 1


def test_a_batch_is_seeded_without_replacement_and_of_the_chosen_classes():
    batch = digits.batch(300, (3, 7), seed=5)
    again = digits.batch(300, (7, 3), seed=5)
    np.testing.assert_array_equal(batch.index, again.index)
    assert not np.array_equal(batch.index, digits.batch(300, (3, 7), seed=6).index)
    assert len(set(batch.index.tolist())) == 300
    assert set(batch.labels.tolist()) == {3, 7}
    assert batch.inputs.min() == 0.0
    assert batch.inputs.max() == 1.0
    everything = digits.digits()
    np.testing.assert_array_equal(batch.labels, everything.labels[batch.index])
    np.testing.assert_allclose(batch.inputs * 255, everything.images[batch.index].reshape(300, 784))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((10, ()), "^classes: no digit is chosen"),
        ((10, (3, 11)), "^classes: 11 is not a digit"),
        ((501, (3,)), "^n_train: 501 digits were asked for; there are 500"),
        ((0, (3,)), "^n_train: "),
        ((10, (3,), -1), "^batch_seed: "),
    ],
)
def test_bad_batches_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        digits.batch(*arguments)


def write_idx(path, array, opener=open):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    with opener(path, "wb") as file:
        file.write(header + array.tobytes())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A small folder of IDX files, the images gzipped and the labels not."""
    monkeypatch.setenv(digits.FOLDER_VARIABLE, str(tmp_path))
    rng = np.random.default_rng(0)
    write_idx(tmp_path / "train-images-idx3-ubyte.gz", rng.integers(0, 256, (40, 28, 28), np.uint8), gzip.open)
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.arange(40, dtype=np.uint8) % 10)
    digits._folder.cache_clear()
    yield tmp_path
    digits._folder.cache_clear()


def test_the_full_set_is_read_from_idx_files(folder):
    everything = digits.digits("mnist")
    expected = np.random.default_rng(0).integers(0, 256, (40, 28, 28), np.uint8)
    np.testing.assert_array_equal(everything.images, expected)
    assert digits.batch(8, (1, 2), 0, "mnist").inputs.shape == (8, 784)


def test_broken_idx_files_are_reported(folder):
    labels = folder / "train-labels-idx1-ubyte"
    content = labels.read_bytes()
    for broken, message in [(content[:-3], "cut short"), (b"PNG" + content, "not an IDX"), (b"", "not an IDX")]:
        labels.write_bytes(broken)
        with pytest.raises(ValueError, match=f"{digits.FOLDER_VARIABLE}.*{message}"):
            digits.digits("mnist")
    write_idx(labels, np.zeros(39, np.uint8))
    with pytest.raises(ValueError, match="do not fit"):
        digits.digits("mnist")
    labels.unlink()
    with pytest.raises(ValueError, match="neither train-labels-idx1-ubyte nor"):
        digits.digits("mnist")
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(b"not gzip")
    with pytest.raises(ValueError, match="cannot be read"):
        digits.digits("mnist")


def test_the_full_set_says_which_variable_is_missing(monkeypatch):
    monkeypatch.delenv(digits.FOLDER_VARIABLE, raising=False)
    with pytest.raises(ValueError, match=f"^data: .*{digits.FOLDER_VARIABLE}"):
        digits.digits("mnist")


def test_digits_load_without_torch():
    code = "import sys; from ntk_core.data import digits; digits.batch(5); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
