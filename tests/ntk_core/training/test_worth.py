"""What a leap costs against a step: what the seconds must grow with, whatever their sizes."""

import pytest

from ntk_core.training.worth import leap_in_steps, leap_seconds, step_seconds

ORDINARY = {"depth": 4, "products": 1e8, "itemsize": 4}


@pytest.mark.parametrize("field", ["depth", "products", "itemsize"])
def test_more_work_takes_longer(field):
    more = ORDINARY | {field: 2 * ORDINARY[field]}
    assert step_seconds(**more) > step_seconds(**ORDINARY)
    assert leap_seconds(**more, unknowns=50) > leap_seconds(**ORDINARY, unknowns=50)


def test_the_velocity_of_a_heavy_ball_is_carried_at_a_cost_of_its_own():
    """Twice for the leap, and n N^2 a layer besides."""

    def besides(unknowns, width):
        case = ORDINARY | {"unknowns": unknowns, "width": width}
        return leap_seconds(**case, heavy=True) - 2 * leap_seconds(**case)

    assert besides(50, 1000) > 0
    assert besides(50, 3000) == pytest.approx(3 * besides(50, 1000))
    assert besides(100, 1000) == pytest.approx(4 * besides(50, 1000))


def test_only_eigenvectors_that_are_needed_are_paid_for():
    assert leap_seconds(**ORDINARY, unknowns=600) == leap_seconds(**ORDINARY, unknowns=6000)
    assert leap_in_steps(**ORDINARY, unknowns=600, weights=10**6) == leap_in_steps(
        **ORDINARY, unknowns=6000, weights=10**6
    )


def test_a_leap_is_worth_fewer_steps_the_larger_a_step_is():
    few, many = (leap_in_steps(4, products, 4, 20, 10**5) for products in (1e6, 1e10))
    assert few > many > 1
