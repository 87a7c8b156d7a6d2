"""A velocity over many leaps against the sum that it stands for."""

import pytest
import torch

from ntk_core.finite.passes import ParameterDirection
from ntk_core.training.velocity import accumulated

WIDTHS = (5, 60, 80, 1)
POINTS = 4


def leap(source, seeds, dtype, shared):
    """What a leap adds: rows that are partly those of other leaps, as a trained network's are."""

    def rows(n):
        old = torch.randn(seeds, POINTS, POINTS, dtype=dtype, generator=source) @ shared[n]
        return old + 0.02 * torch.randn(seeds, POINTS, n, dtype=dtype, generator=source)

    return ParameterDirection([rows(n) for n in WIDTHS[:-1]], [rows(m) for m in WIDTHS[1:]])


def matrix(direction, layer):
    """D^T (a / sqrt(n), u), (S, m, n + 1)."""
    a, D = direction.activations[layer], direction.signals[layer]
    units = direction.units[layer] if direction.units else torch.ones_like(D[..., 0])
    return D.mT @ torch.cat([a / a.shape[-1] ** 0.5, units[..., None]], -1)


@pytest.mark.parametrize(("dtype", "exact"), [(torch.float64, 1e-13), (torch.float32, 5e-6)])
def test_a_velocity_is_the_sum_of_what_leaps_gave_it(dtype, exact, monkeypatch):
    columns, qr = [], torch.linalg.qr
    monkeypatch.setattr(torch.linalg, "qr", lambda A: columns.append(A.shape[-1]) or qr(A))
    source = torch.Generator().manual_seed(0)
    shared = {n: torch.randn(2, POINTS, n, dtype=dtype, generator=source) for n in {*WIDTHS}}
    velocity, expected = None, [0.0] * 3
    for step in range(60):
        kept = torch.tensor([0.9, 1.0 if step % 7 else 0.0])  # a seed that forgets all now and then
        new = leap(source, 2, dtype, shared)
        velocity = accumulated(velocity, kept, new)
        for layer in range(3):
            expected[layer] = kept.to(dtype)[:, None, None] * expected[layer] + matrix(new, layer)
            scale = float(expected[layer].abs().max())
            torch.testing.assert_close(matrix(velocity, layer), expected[layer], rtol=0, atol=exact * scale)
    assert max(D.shape[1] for D in velocity.signals) <= 61 + 2 * POINTS + POINTS  # the rank, and what came since
    assert max(columns) <= 5 * POINTS  # tall matrices are never taken apart whole again


def test_a_part_and_its_whole_know_together_what_is_upright():
    source = torch.Generator().manual_seed(1)
    shared = {n: torch.randn(3, POINTS, n, dtype=torch.float64, generator=source) for n in {*WIDTHS}}
    index, kept = torch.tensor([2]), torch.ones(3)

    def led(velocity, times, seeds):
        mine = {n: rows[:seeds] for n, rows in shared.items()}
        for _ in range(times):
            velocity = accumulated(velocity, kept[:seeds], leap(source, seeds, torch.float64, mine))
        return velocity

    whole = led(None, 6, 3)
    part = led(whole.part(index), 9, 1)
    together = whole.merged(index, part)
    assert together.upright == tuple(map(min, whole.upright, part.upright))
    before = [matrix(together, layer) for layer in range(3)]
    after = accumulated(together, kept, leap(source, 3, torch.float64, shared))
    for _ in range(3):
        nothing = leap(source, 3, torch.float64, shared).where(torch.zeros(3, dtype=torch.bool))
        after = accumulated(after, kept, nothing)
    for layer in range(3):
        torch.testing.assert_close(before[layer][2], matrix(part, layer)[0])
        known = torch.linalg.matrix_rank(matrix(after, layer) - before[layer], atol=1e-9)
        assert int(known.max()) <= POINTS  # nothing but the one leap came to it
