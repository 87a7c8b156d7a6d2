"""What the pages cost the web process, and how long a visitor waits: for networks, and for a default run."""

from __future__ import annotations

import contextlib
import math
import re
import statistics
import time
import urllib.request
from collections.abc import Iterator

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from tests.app.server_process import ServerProcess
from tests.app.visits import moves, reruns
from tests.benchmarks.framework import Context, Skip, row
from tests.benchmarks.results import Table
from tests.browser import get_browser

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


MOVED = {  # the control of each page whose every value is another limit
    "circle": "beta", "function_space": "beta", "components": "beta", "spectral": "beta", "laws": "beta",
    "random_functions": "beta", "any_cost": "beta", "lazy": "beta", "conditioning": "beta",
}  # fmt: skip


@row("moved-control", "pages", "from a control's move to the picture of its limit, one visitor, over the raw websocket")
def moved_controls(context: Context) -> Table:
    """What the server takes; nothing of it was known before. A browser draws them in some more milliseconds."""
    count = context.pick(40, 3)
    with contextlib.closing(_Server(NTK_THREADS="2")) as server:
        server.await_pictures()
        lines = []
        for page, control in list(MOVED.items())[: context.pick(len(MOVED), 1)]:
            values = [0.01 * (2 + k) for k in range(count + 2)]
            moved = moves(server.port, page, server.base, control, values)[2:]
            seen = sorted(move.seen for move in moved)
            high = seen[math.ceil(0.95 * len(seen)) - 1]
            told = (statistics.median(seen), high, seen[-1], statistics.median(move.whole for move in moved))
            lines.append((page, *(f"{1000 * value:.0f} ms" for value in told)))
    headers = ("page", "median", "95th percentile", "slowest", "all moments, median")
    notes = (f"{count} moves of beta a page", "The picture that is seen; the limit's other moments come after it")
    return Table(headers, tuple(lines), notes)


LIVE = ("circle", "function_space", "spectral", "any_cost", "components", "laws", "lazy")  # all show networks unasked
NETWORKS = r"n = \d|slope [−-]?\d.* \("  # in the name of a curve; the laws' are named by depth, and have fitted slopes
DRAWN = """(networks) => [...document.querySelectorAll(".ntk-plot")].some(
  (plot) => (plot.data || []).some((curve) => new RegExp(networks).test(curve.name || "") && curve.y))"""
WAIT_MS = 120_000


@row("first-sight", "pages", "seconds until a heading and networks stand, and from Train to the end of a default run")
def first_sight(context: Context) -> Table:
    """In a browser on the same cores: the first visitor once the server has drawn its pictures, and one after."""
    with _chromium() as browser, contextlib.closing(_Server(NTK_THREADS="2")) as server:
        server.await_pictures()
        rows = tuple(_visits(browser, server.address, page) for page in context.pick(LIVE, LIVE[:1]))
    headers = (
        "page",
        "first picture",
        "of",
        "heading",
        "charts",
        "networks in them",
        "the next visitor",
        "default run",
    )
    notes = (
        "One training worker of two threads",
        "A visitor's browser has nothing in its cache",
        "The first picture is in the page's own HTML; the charts take its place",
    )
    return Table(headers, rows, notes)


@contextlib.contextmanager
def _chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        if not (path := get_browser.installed(playwright)):
            raise Skip(get_browser.NONE)
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def _visits(browser: Browser, address: str, name: str) -> tuple[str, ...]:
    page, what, *first = _visit(browser, address, name)
    page.close()
    page, *_, again = _visit(browser, address, name)
    started = time.monotonic()
    page.get_by_role("button", name=re.compile("^(Train|Draw networks)$")).click()
    page.locator(".ntk-message", has_text=re.compile("Finished")).wait_for(timeout=WAIT_MS)
    trained = time.monotonic() - started
    page.close()
    still, heading, charts, networks, again, trained = (f"{seconds:.1f} s" for seconds in (*first, again, trained))
    return name, still, what, heading, charts, networks, again, trained


def _visit(browser: Browser, address: str, name: str) -> tuple[Page, str, float, float, float, float]:
    """A page without a cache, what its first picture shows, and the seconds until it is painted, until the page's
    heading, its charts and all that it shows by itself stand.
    """
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(WAIT_MS)
    started = time.monotonic()
    page.goto(f"{address}/{name}", wait_until="commit")
    page.locator("#ntk-still svg").wait_for()
    what = "networks" if re.search(NETWORKS, page.locator("#ntk-still ul").inner_text()) else "the limit"
    page.get_by_role("heading").first.wait_for()
    heading = time.monotonic() - started
    page.locator(".ntk-plot .main-svg").first.wait_for()
    charts = time.monotonic() - started
    page.wait_for_function(DRAWN, arg=NETWORKS)
    whole = time.monotonic() - started
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000")
    return page, what, painted, heading, charts, whole


class _Server(ServerProcess):
    def __init__(self, **environment: str) -> None:
        super().__init__(NTK_STORE="none", **environment)
        self.await_workers()
        self.web = psutil.Process(self.process.pid)

    @property
    def address(self) -> str:
        """Of the first page, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}{self.base}"

    def await_pictures(self) -> None:
        """Until the server has drawn the first pictures of its pages, which it does once, when it has started."""
        deadline = time.monotonic() + WAIT_MS / 1000
        while not all(
            "ntk-still" in urllib.request.urlopen(f"{self.address}/{page}").read().decode() for page in MOVED
        ):
            assert time.monotonic() < deadline, "a page has no first picture; the server's log says why"
            time.sleep(0.2)

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
