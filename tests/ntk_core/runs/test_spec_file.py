"""Specs as files: the same spec comes back, and what is no spec's file is refused in one sentence."""

from __future__ import annotations

import json

import pytest

from ntk_core import experiments
from ntk_core.runs import spec_file
from ntk_core.runs.spec import RESULTS_VERSION
from tests.ntk_core.runs.results import spec_of


def test_a_spec_comes_back():
    spec = spec_of(3, activation="erf", beta=0.125)
    assert experiments.parse(spec_file.read(spec_file.write(spec).encode())) == spec


def test_every_field_and_the_version_are_written():
    fields = json.loads(spec_file.write(spec_of()))
    assert fields.keys() == {"results_version", *type(spec_of()).model_fields}


def test_the_version_may_be_left_out():
    assert spec_file.read(b'\xef\xbb\xbf {"experiment": "circle"}') == {"experiment": "circle"}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "spec: the file is empty; it must be a JSON object with the fields of a spec"),
        (b" \n", "spec: the file is empty; it must be a JSON object with the fields of a spec"),
        (b"{", "spec: the file is not JSON (line 1, column 2: expecting property name enclosed in double quotes)"),
        (b"depth = 3", "spec: the file is not JSON (line 1, column 1: expecting value)"),
        (b'{"a": "\xff"}', "spec: the file is not JSON (its text is not UTF-8)"),
        (b"[" * 200_000, "spec: the file is not JSON (it is nested too deeply)"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "spec: the file is not JSON (a number in it is too long)"),
        (b"[1]", "spec: the file must be a JSON object with the fields of a spec, got a list"),
        (b"null", "spec: the file must be a JSON object with the fields of a spec, got null"),
        (b" " * 2_000_000, "spec: a file of 1,000,000 bytes at most is read, got 2,000,000"),
        (
            json.dumps({"results_version": RESULTS_VERSION + 1, "experiment": "circle"}).encode(),
            f"results_version: the file is of version {RESULTS_VERSION + 1}, this program of version "
            f"{RESULTS_VERSION}, whose numbers differ; without that line it is run all the same",
        ),
    ],
)
def test_what_is_no_specs_file(data, sentence):
    with pytest.raises(ValueError, match=r"^(spec|results_version): ") as caught:
        spec_file.read(data)
    assert str(caught.value) == sentence
