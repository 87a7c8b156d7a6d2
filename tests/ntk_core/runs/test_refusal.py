"""What a run that is too large is told: what to lower, and to how much."""

import re

import pytest

from ntk_core.experiments import load
from ntk_core.runs import machine

GB = 10**9


@pytest.fixture
def plan(monkeypatch):
    def plan(free, **fields):
        monkeypatch.setattr(machine, "free_memory", lambda device: free)
        circle = load("circle")
        return circle.plan(circle.Spec(experiment="circle", **fields))

    return plan


def test_as_many_seeds_as_are_told_fit(plan):
    refused = plan(60 * GB, widths=(1_000_000,), seeds=8)
    fewer = int(re.search(r"number of seeds: ([0-9]+) of each width would fit", refused.refusal)[1])
    assert fewer >= 1
    assert plan(60 * GB, widths=(1_000_000,), seeds=fewer).refusal is None


@pytest.mark.parametrize(("weights", "width"), [("sampled", 1_000_000), ("dense", 50_000)])
def test_the_width_that_is_told_fits(plan, weights, width):
    refused = plan(2 * GB, widths=(width,), seeds=4, weights=weights)
    narrower = int(re.search(r"one seed of width ([0-9,]+) would fit", refused.refusal)[1].replace(",", ""))
    assert 0 < narrower < width
    assert plan(2 * GB, widths=(narrower,), seeds=1, weights=weights).refusal is None
