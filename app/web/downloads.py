"""Files to take along: a spec, a script that replays it, and its numbers as a result or as the limit alone.

GET {base}/ntk/specs/{key}/spec.json         the spec, as `python -m ntk_core run` reads it
GET {base}/ntk/specs/{key}/replay.py         a Python script that computes the same numbers
GET {base}/ntk/specs/{key}/theory.{kind}     what the limit says: csv, parquet, nc
GET {base}/ntk/specs/{key}/result.{kind}     what the networks have found so far
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import Route

from app.web import url_checks
from ntk_core import experiments
from ntk_core.engine.errors import EngineError
from ntk_core.runs import replay, spec_file

if TYPE_CHECKING:
    from starlette.requests import Request

    from ntk_core.engine import Engine
    from ntk_core.runs.spec import ExperimentSpec

KINDS = {"csv": ("CSV", "text/csv"), "parquet": ("Parquet", "application/vnd.apache.parquet"),
         "nc": ("netCDF", "application/netcdf")}  # fmt: skip


def offers(spec: ExperimentSpec) -> list[dict[str, str]]:
    """What a page offers for this spec: {"label", "url"}."""
    root = f"/ntk/specs/{spec.key}"
    files = [("Spec (JSON)", "spec.json"), ("Python script that replays it", "replay.py")]
    if experiments.runs(spec.experiment):
        files += [(f"Networks: {name}", f"result.{kind}") for kind, (name, _) in KINDS.items()]
    files += [(f"Limit: {name}", f"theory.{kind}") for kind, (name, _) in KINDS.items()]
    return [{"label": label, "url": f"{root}/{name}"} for label, name in files]


def routes(base: str, engine: Callable[[], Engine]) -> list[Route]:
    """The routes of this module under the path `base`."""

    async def file(request: Request) -> Response:
        try:
            key = url_checks.key(request)
            return await asyncio.to_thread(_file, engine(), key, request.path_params["name"])
        except (ValueError, EngineError) as problem:
            return url_checks.refusal(problem)

    return [Route(f"{base}/ntk/specs/{{key}}/{{name}}", file)]


def _file(engine: Engine, key: str, name: str) -> Response:
    spec = url_checks.known_spec(engine, key)
    if name == "spec.json":
        return _answer(spec_file.write(spec), "application/json", f"{key}.json")
    if name == "replay.py":
        return _answer(replay.script(spec), "text/x-python", f"{key}.py")
    what, _, kind = name.partition(".")
    if what not in ("theory", "result") or kind not in KINDS:
        raise url_checks.UrlError("there is no such file", 404)
    return _answer(_numbers(engine, spec, what, kind), KINDS[kind][1], f"{key}-{what}.{kind}")


def _numbers(engine: Engine, spec: ExperimentSpec, what: str, kind: str) -> bytes:
    if what == "theory":
        return engine.shelf.export(what, kind, spec, engine.preview(spec).theory.to_bytes())
    run: Any = engine.get(experiments.trained(spec).key)
    if run is None or not run.frames:
        raise url_checks.UrlError("nothing has been trained with these settings yet: press Train first", 404)
    return engine.shelf.export(what, kind, spec, run.result.to_bytes())


def _answer(body: str | bytes, kind: str, name: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(body, media_type=kind, headers=headers)
