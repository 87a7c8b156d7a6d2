"""What the pages cost the web process: a touch of a control is a run of the page's script, whoever sits there."""

from __future__ import annotations

import contextlib
import statistics

import psutil

from tests.app.server_process import ServerProcess
from tests.app.visits import reruns
from tests.benchmarks.framework import Context, row
from tests.benchmarks.results import Table

PAGES = ("circle", "function_space", "components")
BATCHES = 5
HEADERS = ("page", "of a core", "least", "sent")


@row("reruns", "pages", "a run of a page's script again, one session over the raw websocket")
def reruns_of_pages(context: Context) -> Table:
    """Processor time of the web process, user and system, of both its loop and its scripts."""
    times = context.pick(40, 2)
    with contextlib.closing(_Server()) as server:
        rows = tuple(_row(server, page, times) for page in context.pick(PAGES, PAGES[:1]))
    return Table(HEADERS, rows, (f"Medians of {BATCHES} batches of {times}", "Workers are processes of their own"))


class _Server(ServerProcess):
    def __init__(self) -> None:
        super().__init__(NTK_STORE="none")
        self.await_workers()
        self.web = psutil.Process(self.process.pid)

    def seconds(self) -> float:
        """Processor time so far."""
        spent = self.web.cpu_times()
        return spent.user + spent.system

    def close(self) -> None:
        self.end()


def _row(server: _Server, page: str, times: int) -> tuple[str, ...]:
    samples = [reruns(server.port, page, server.base, times, server.seconds) for _ in range(BATCHES)]
    seconds = [s for s, _ in samples]
    middle, least = (f"{1000 * value:.1f} ms" for value in (statistics.median(seconds), min(seconds)))
    return page, middle, least, f"{samples[-1][1] / 1000:.0f} kB"
