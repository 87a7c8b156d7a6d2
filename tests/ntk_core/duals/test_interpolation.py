"""Functions of a variance from few variances: the same numbers, and no interpolation where it would not give them."""

import numpy as np
import pytest

from ntk_core.duals.interpolation import NODES, SPAN, through_nodes


class Counted:
    """A function of variances that counts how many it was asked for."""

    def __init__(self, function):
        self.function, self.asked = function, 0

    def __call__(self, q):
        self.asked += len(q)
        return self.function(q)


def gaussian_moments(q):
    """E[exp(-q z^2)], E[exp(-q z^2) z^2] and E[cos(sqrt(q) z)], which are known."""
    return np.stack([(1 + 2 * q) ** -0.5, (1 + 2 * q) ** -1.5, np.exp(-q / 2)])


@pytest.mark.parametrize("span", [1.5, 7.0, 0.999 * SPAN])
def test_expectations_are_known_from_few_variances(span):
    q = 0.3 * span ** np.random.default_rng(0).uniform(0, 1, 5000)
    function = Counted(gaussian_moments)
    found = through_nodes(function, q)
    assert function.asked <= 200
    np.testing.assert_allclose(found, gaussian_moments(q), rtol=0, atol=2e-14)


def test_ends_of_the_range_are_part_of_it():
    q = np.linspace(0.5, 2.0, 400)
    np.testing.assert_allclose(
        through_nodes(gaussian_moments, q)[:, [0, -1]], gaussian_moments(q[[0, -1]]), rtol=0, atol=2e-14
    )


@pytest.mark.parametrize(
    ("name", "q"),
    [
        ("few", np.linspace(0.5, 2.0, 2 * NODES[0] - 1)),
        ("one value", np.full(500, 0.7)),
        ("zero among them", np.linspace(0.0, 2.0, 500)),
        ("too wide a span", np.geomspace(0.01, 0.01 * 1.01 * SPAN, 500)),
    ],
)
def test_otherwise_every_variance_is_asked_about(name, q):
    function = Counted(gaussian_moments)
    assert np.array_equal(through_nodes(function, q), gaussian_moments(q)), name
    assert function.asked == len(q)


def test_what_is_not_smooth_is_not_interpolated():
    q = np.linspace(0.5, 2.0, 1000)
    rough = lambda q: np.abs(q - 1.1)[None]  # noqa: E731
    assert np.array_equal(through_nodes(rough, q), rough(q))
