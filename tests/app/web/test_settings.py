"""Environment variables: what they mean, and the sentence about each that means nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.web import settings
from app.web.settings import Settings


def test_nothing_set_lets_the_engine_choose():
    assert Settings.from_environment({}) == Settings()
    assert Settings.from_environment({"NTK_WORKERS": " ", "DASK_SCHEDULER_ADDRESS": ""}) == Settings()


def test_everything_set():
    given = {
        "DASK_SCHEDULER_ADDRESS": "tcp://10.0.0.5:8786",
        "NTK_WORKERS": "3",
        "NTK_THREADS": "8",
        "NTK_MEMORY_LIMIT": "1.5 GiB",
        "NTK_DEVICE": "cuda",
        "NTK_KEEP": "100MB",
        "NTK_GRACE": "2.5",
    }
    expected = Settings("tcp://10.0.0.5:8786", 3, 8, 3 * 2**29, "cuda", 10**8, 2.5)
    assert Settings.from_environment(given) == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DASK_SCHEDULER_ADDRESS", "localhost"),
        ("NTK_WORKERS", "0"),
        ("NTK_WORKERS", "-1"),
        ("NTK_WORKERS", "two"),
        ("NTK_WORKERS", "٣"),
        ("NTK_THREADS", "1e9"),
        ("NTK_MEMORY_LIMIT", "lots"),
        ("NTK_MEMORY_LIMIT", "5"),
        ("NTK_DEVICE", "gpu"),
        ("NTK_KEEP", "-1GB"),
        ("NTK_GRACE", "nan"),
        ("NTK_GRACE", "soon"),
    ],
)
def test_a_wrong_value_is_named_and_quoted(name, text):
    with pytest.raises(ValueError, match=rf"^{name}: must be .*{re.escape(repr(text))}$"):
        Settings.from_environment({name: text})


def test_the_table_names_every_variable():
    read = set(re.findall(r'given, "(\w+)"', Path(settings.__file__).read_text("utf-8")))
    assert read == set(re.findall(r"^\| `(\w+)`", settings.__doc__, re.MULTILINE))
