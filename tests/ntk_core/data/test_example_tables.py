"""Tables to try out: the package's own reader takes them, and they are what they say."""

import numpy as np

from ntk_core import data
from ntk_core.data import example_tables


def test_the_arms_of_the_spirals_are_one_turned_by_half():
    rows = [line.split(", ") for line in example_tables.spirals().splitlines()[1:]]
    x = np.array([[float(a), float(b)] for a, b, _ in rows])
    assert [name for *_, name in rows] == ["inner"] * 40 + ["outer"] * 40
    np.testing.assert_allclose(x[40:], -x[:40], atol=2e-3)
    assert (np.diff(np.linalg.norm(x[:40], axis=1)) > 0).all()


def test_the_wave_is_a_sine_and_its_noise():
    x, y = np.loadtxt(example_tables.wave().splitlines()[1:], delimiter=",").T
    _, exact = np.loadtxt(example_tables.wave(noise=0).splitlines()[1:], delimiter=",").T
    np.testing.assert_allclose(exact, np.sin(4 * x), atol=1e-3)
    assert 0.05 < (y - exact).std() < 0.2


def test_the_reader_takes_them():
    for text in (example_tables.spirals(), example_tables.wave()):
        assert len(data.parse(text.encode()).columns) == text.splitlines()[0].count(",") + 1
