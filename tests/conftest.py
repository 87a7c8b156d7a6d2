"""Fixtures that several test modules share."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings

import ntk_core.engine.engine
import tests.toys
from ntk_core import experiments
from ntk_core.engine import Engine, Limits

# What a test leaves behind must not answer the next one; servers and workers inherit this.
os.environ["NTK_STORE"] = "none"
os.environ["NTK_DATA"] = tempfile.mkdtemp(prefix="ntk-data-")
atexit.register(shutil.rmtree, os.environ["NTK_DATA"], ignore_errors=True)

# Threads that wait for each other must not keep the others of two test processes and their workers from running.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same draws each time; `--hypothesis-profile=explore` draws others.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile("same")

# A run that nobody watches is given up, and most tests do not watch: a busy machine may need long to start one.
ntk_core.engine.engine.FIRST_GRACE = 120.0

THREADS = 2
MEMORY = 1500 * 10**6
TOGETHER = ("tests/browser/", "tests/app/web/"), ("tests/ntk_core/engine/",)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each file's tests run in one process, in order; those that share a server or an engine too."""
    for item in items:
        path = item.nodeid.partition("::")[0]
        group = next((names[0] for names in TOGETHER if path.startswith(names)), path)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """An engine with one training worker whose processes know the toy experiment; started once for all tests."""
    os.environ["DASK_DISTRIBUTED__WORKER__PRELOAD"] = f'["{tests.toys.__name__}"]'
    engine = Engine.start(workers=1, threads=THREADS, memory_limit=MEMORY, grace=0.5, limits=Limits(detached=0.0))
    yield engine
    engine.close()


@pytest.fixture
def toy(request: pytest.FixtureRequest) -> Callable:
    """Makes specs of the toy experiment that no other test makes."""
    spec = experiments.load("toy").Spec
    nonce = zlib.crc32(request.node.nodeid.encode())  # the same in every session
    return lambda **fields: spec(**({"nonce": nonce} | fields))
