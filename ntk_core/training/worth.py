"""What a leap costs, against a plain step: two rates of work whose ratio decides which of the two goes on.

The seconds are those of a seed among four on two cores, as they were measured; only their ratios matter. Neither the
machine nor the number of seeds has a say: a network of stored weights is trained the same way everywhere, and in any
company.
"""

from __future__ import annotations

STEP, STEP_LAYER = 75e-6, 63e-6  # seconds of a plain step, and of each of its layers
LEAP, LEAP_LAYER = 2e-3, 0.3e-3
LEAP_PRODUCTS = 4.0  # times those of a step, in the mean: midpoints and rejected leaps included
TRY_PRODUCTS = 2.0  # the same of a single try
SWEEPS, BANDWIDTH = 5, 1e10  # over all weights in a step, and bytes a second of a core among busy ones
EIGENPROBLEMS = 2e-9  # seconds of a leap, times N^3
MOST_UNKNOWNS = 600  # N, beyond which only the eigenvectors that the residual needs are asked for (`training.modes`)
HEAVY, VELOCITY = 2.0, 1.5e-9  # times a heavy ball's leap takes as long, and seconds times n N^2 a layer besides
RATE = {4: 1.4e11, 8: 7e10}  # operations a second, by the bytes of a number


def step_seconds(depth: int, products: float, itemsize: int) -> float:
    """Of a plain step of stored weights.

    Args:
        depth: of the network.
        products: operations of the training points' way through all matrices.
        itemsize: bytes of a number, 4 or 8.
    """
    return STEP + STEP_LAYER * depth + _multiplied(products, itemsize)


def leap_seconds(
    depth: int, products: float, itemsize: int, unknowns: int, width: int = 0, heavy: bool = False
) -> float:
    """Of a leap of stored weights.

    Args:
        depth, products, itemsize: as of `step_seconds`.
        unknowns: outputs on the training points, N n_out.
        width, heavy: of a heavy ball's network, whose velocity is carried along.
    """
    unknowns = min(unknowns, MOST_UNKNOWNS)
    leap = LEAP + LEAP_LAYER * depth + LEAP_PRODUCTS * _multiplied(products, itemsize) + EIGENPROBLEMS * unknowns**3
    return HEAVY * leap + VELOCITY * width * unknowns**2 * depth if heavy else leap


def leap_in_steps(depth: int, products: float, itemsize: int, unknowns: int, weights: int) -> float:
    """How many plain steps of stored weights take as long as one try of a leap.

    Args:
        depth, products, itemsize, unknowns: as of `leap_seconds`.
        weights: numbers in all matrices.
    """
    moved = max(_multiplied(products, itemsize), SWEEPS * itemsize * weights / BANDWIDTH)
    step = STEP + STEP_LAYER * depth + moved
    leap = LEAP + LEAP_LAYER * depth + TRY_PRODUCTS * moved + EIGENPROBLEMS * min(unknowns, MOST_UNKNOWNS) ** 3
    return leap / step


def _multiplied(products: float, itemsize: int) -> float:
    return 3.5 * products / RATE[itemsize]
