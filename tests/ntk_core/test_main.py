"""The command line, as a person uses it: files, exit codes, one sentence for each thing that is wrong."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ntk_core import __main__ as command_line
from ntk_core import experiments, presets
from ntk_core.runs import files, spec_file, store

ROOT = Path(__file__).parents[2]
SPEC = experiments.parse(
    {"experiment": "circle", "widths": [8, 12], "seeds": 2, "n_train": 6, "time": 6.0, "snapshots": 3, "angles": 5}
)


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (store.LIMIT_VARIABLE, store.RECORDINGS_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(store.URL_VARIABLE, str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def spec_path(tmp_path: Path) -> Path:
    path = tmp_path / "spec.json"
    path.write_text(spec_file.write(SPEC))
    return path


def run(*arguments: object) -> int:
    return command_line.main(["run", *map(str, arguments)])


class TestRun:
    def test_it_writes_what_was_asked_for_and_keeps_the_result(self, spec_path, tmp_path, capsys, own_store):
        out = tmp_path / "new" / "out"
        assert run(spec_path, "-o", out, "--format", "netcdf,csv,parquet") == 0
        said = capsys.readouterr()
        names = {f"{SPEC.key}{part}.{end}" for part in ("", "-theory") for end in ("nc", "csv", "parquet")}
        assert {p.name for p in out.iterdir()} == names | {f"{SPEC.key}.json"}
        assert set(said.out.split()) == {str(p) for p in out.iterdir()}
        assert "circle 100 %" in said.err
        found, wanted = files.result_from_netcdf((out / f"{SPEC.key}.nc").read_bytes()), experiments.compute(SPEC)
        for name, values in wanted.values.items():
            np.testing.assert_array_equal(found[name], values)
        theory = files.theory_from_netcdf((out / f"{SPEC.key}-theory.nc").read_bytes())
        np.testing.assert_array_equal(theory["ntk"], experiments.load("circle").theory(SPEC)["ntk"])
        assert [p.name for p in own_store.iterdir()] == [f"{SPEC.key}.nc"]

    def test_what_is_kept_is_not_computed_again(self, spec_path, tmp_path, capsys, monkeypatch):
        assert run(spec_path, "-o", tmp_path / "a") == 0
        monkeypatch.setattr(experiments, "compute", None)
        assert run(spec_path, "-o", tmp_path / "b") == 0
        assert "Kept since 20" in capsys.readouterr().out
        assert (tmp_path / "a" / f"{SPEC.key}.nc").read_bytes() == (tmp_path / "b" / f"{SPEC.key}.nc").read_bytes()

    def test_without_the_store(self, spec_path, tmp_path, own_store):
        assert run(spec_path, "-o", tmp_path, "--no-store") == 0
        assert not own_store.exists()

    def test_a_store_that_fails_costs_a_sentence(self, spec_path, tmp_path, capsys, own_store):
        own_store.write_text("a file")
        assert run(spec_path, "-o", tmp_path / "out") == 0
        assert "ntk_core: The store of results cannot be used: " in capsys.readouterr().err
        assert (tmp_path / "out" / f"{SPEC.key}.nc").exists()

    def test_from_standard_input(self, tmp_path):
        command = [sys.executable, "-m", "ntk_core", "run", "-", "-o", str(tmp_path), "--no-store"]
        done = subprocess.run(
            command, cwd=ROOT, input=spec_file.write(SPEC), text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert (tmp_path / f"{SPEC.key}.nc").exists()

    def test_a_run_that_fails_leaves_what_was_finished(self, spec_path, tmp_path, capsys, monkeypatch):
        self.break_off(monkeypatch, FloatingPointError("the run diverged"))
        assert run(spec_path, "-o", tmp_path) == 1
        assert "ntk_core: the run failed: the run diverged\n" in capsys.readouterr().err
        partial = files.result_from_netcdf((tmp_path / f"{SPEC.key}-partial.nc").read_bytes())
        assert partial.attrs["partial"] == "the run diverged"
        assert partial.present.any()
        assert not partial.present.all()
        assert not (tmp_path / f"{SPEC.key}.nc").exists()

    def test_a_run_that_is_stopped_leaves_what_was_finished(self, spec_path, tmp_path, monkeypatch, own_store):
        self.break_off(monkeypatch, KeyboardInterrupt())
        assert run(spec_path, "-o", tmp_path) == 130
        assert files.result_from_netcdf((tmp_path / f"{SPEC.key}-partial.nc").read_bytes()).present.any()
        assert not own_store.exists()

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_ctrl_c_in_a_destructor_is_not_lost(self, spec_path, tmp_path, monkeypatch):
        """Python prints and drops what a destructor raises, so that the run would go on."""

        class Dying:
            def __del__(self):
                signal.raise_signal(signal.SIGINT)

        circle = experiments.load("circle")
        whole = circle.run

        def interrupted(*arguments):
            for increment in whole(*arguments):
                Dying()
                yield increment

        monkeypatch.setattr(circle, "run", interrupted)
        before = signal.getsignal(signal.SIGINT)
        assert run(spec_path, "-o", tmp_path) == 130
        assert files.result_from_netcdf((tmp_path / f"{SPEC.key}-partial.nc").read_bytes()).present.any()
        assert signal.getsignal(signal.SIGINT) is before

    @staticmethod
    def break_off(monkeypatch, error: BaseException) -> None:
        circle = experiments.load("circle")
        whole = circle.run

        def broken(spec, part=None):
            yield next(whole(spec, part))
            raise error

        monkeypatch.setattr(circle, "run", broken)

    def test_ctrl_c(self, tmp_path):
        path = tmp_path / "long.json"
        path.write_text(spec_file.write(SPEC.model_copy(update={"time": 900000.0, "method": "steps"})))
        command = [sys.executable, "-m", "ntk_core", "run", str(path), "-o", str(tmp_path), "--no-store"]
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        assert process.stderr is not None
        process.stderr.readline()  # the first tenth
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(60) == 130
        finally:
            process.kill()
        assert "ntk_core: stopped" in process.stderr.read()


class TestBadInput:
    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (b"", "spec: the file is empty; it must be a JSON object with the fields of a spec"),
            (b"[]", "spec: the file must be a JSON object with the fields of a spec, got a list"),
            (b"{}", "experiment: '' is not known; choose one of any_cost, circle, components"),
            (b"{'a': 1}", "spec: the file is not JSON (line 1, column 2: expecting property name"),
            (b" " * 3_000_000, "spec: a file of 1,000,000 bytes at most is read, got 1,000,001"),
            (b'{"experiment": "circle", "fog": 3}', "fog: extra inputs are not permitted, got 3"),
            (b'{"experiment": "circle", "beta": NaN}', "beta: input should be a finite number, got nan"),
            (b'{"experiment": "circle", "results_version": 0}', "results_version: the file is of version 0, this"),
        ],
    )  # fmt: skip
    def test_one_sentence(self, content, sentence, tmp_path, capsys):
        path = tmp_path / "spec.json"
        path.write_bytes(content)
        assert run(path, "-o", tmp_path / "out") == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith(f"ntk_core: {sentence}")
        assert said.err.count("\n") == 1
        assert not (tmp_path / "out").exists()

    def test_no_such_file_or_preset(self, tmp_path, capsys):
        assert run(tmp_path / "none.json", "-o", tmp_path) == 2
        assert f"ntk_core: {tmp_path}/none.json: no such file or directory\n" == capsys.readouterr().err
        assert run("figure9", "-o", tmp_path) == 2
        assert "preset: 'figure9' is not known; choose one of figure1, figure2, figure3" in capsys.readouterr().err
        assert run(tmp_path, "-o", tmp_path) == 2
        assert "is a directory" in capsys.readouterr().err

    def test_a_folder_that_cannot_be(self, spec_path, capsys):
        assert run(spec_path, "-o", spec_path / "out") == 2
        assert "not a directory" in capsys.readouterr().err

    def test_a_run_that_would_not_fit(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setenv("NTK_MEMORY_LIMIT", "1KB")
        path = tmp_path / "spec.json"
        path.write_text(spec_file.write(SPEC))
        assert run(path, "-o", tmp_path) == 2
        assert "ntk_core: widths: this run would need about" in capsys.readouterr().err

    @pytest.mark.parametrize("arguments", [[], ["run"], ["dance"], ["run", "figure1", "-o", "x", "--format", "hdf"]])
    def test_commands_that_there_are_not(self, arguments, capsys):
        with pytest.raises(SystemExit) as caught:
            command_line.main(arguments)
        assert caught.value.code == 2
        assert "error: " in capsys.readouterr().err

    def test_a_limit_that_is_no_size(self, spec_path, tmp_path, capsys, monkeypatch):
        monkeypatch.setenv(store.LIMIT_VARIABLE, "plenty")
        for arguments in (["run", str(spec_path), "-o", str(tmp_path)], ["info"]):
            assert command_line.main(arguments) == 2
            assert "ntk_core: NTK_STORE_LIMIT: must be a size" in capsys.readouterr().err


def test_presets_are_listed_and_printed(capsys):
    assert command_line.main(["presets"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["figure1", "figure2", "figure3"]
    assert command_line.main(["presets", "figure2"]) == 0
    printed = capsys.readouterr().out
    assert experiments.parse(spec_file.read(printed.encode())) == presets.get("figure2").spec
    assert json.loads(printed)["widths"] == [50, 1000]
    assert command_line.main(["presets", "figure9"]) == 2


def test_info(capsys, own_store, monkeypatch):
    assert command_line.main(["info"]) == 0
    said = capsys.readouterr().out
    assert "torch 2" in said
    assert f"{own_store}: 0 results, 0.0 MB of 1,000 MB" in said
    assert "recordings   none" in said
    assert ", ".join(experiments.names()) in said
    monkeypatch.setenv(store.URL_VARIABLE, "nothing://here")
    assert command_line.main(["info"]) == 0
    assert "The store of results cannot be used" in capsys.readouterr().out


def test_without_the_dashboards_packages():
    code = "import sys; sys.modules['pydantic'] = None; from ntk_core.__main__ import main; sys.exit(main(['info']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'the package pydantic is missing; pip install ".[app]"' in done.stderr
