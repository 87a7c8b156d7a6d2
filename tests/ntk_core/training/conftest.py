"""What tests of training share."""

import pytest


@pytest.fixture
def leaps_alone(monkeypatch):
    """Seeds never walk: short leaps are leapt."""
    monkeypatch.setattr("ntk_core.training.crew.worth", lambda *a: 0.0)
