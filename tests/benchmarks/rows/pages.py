"""What the pages cost the web process, and how long a visitor waits: for networks, and for a default run."""

from __future__ import annotations

import contextlib
import re
import statistics
import time
from collections.abc import Iterator

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from tests.app.server_process import ServerProcess
from tests.app.visits import reruns
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


LIVE = ("circle", "function_space", "components", "spectral", "laws", "any_cost", "lazy")
NETWORKS = """() => [...document.querySelectorAll(".ntk-plot")].some(
  (plot) => (plot.data || []).some((curve) => /n = [0-9]/.test(curve.name || "") && curve.y))"""
WAIT_MS = 120_000


@row("first-sight", "pages", "seconds until a heading and networks stand, and from Train to the end of a default run")
def first_sight(context: Context) -> Table:
    """In a browser on the same cores: the first visitor after the server's start, and one who comes after."""
    with _chromium() as browser, contextlib.closing(_Server(NTK_THREADS="2")) as server:
        address = f"http://127.0.0.1:{server.port}{server.base}"
        rows = tuple(_visits(browser, address, page) for page in context.pick(LIVE, LIVE[:1]))
    headers = ("page", "heading", "networks, first visitor", "networks, the next", "default run")
    return Table(headers, rows, ("One training worker of two threads", "A visitor's browser has nothing in its cache"))


@contextlib.contextmanager
def _chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        if not (path := get_browser.installed(playwright)):
            raise Skip(get_browser.NONE)
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def _visits(browser: Browser, address: str, name: str) -> tuple[str, ...]:
    first, heading, networks = _visit(browser, f"{address}/{name}")
    first.close()
    page, _, again = _visit(browser, f"{address}/{name}")
    started = time.monotonic()
    page.get_by_role("button", name="Train", exact=True).click()
    page.locator(".ntk-message", has_text=re.compile("Finished")).wait_for(timeout=WAIT_MS)
    trained = time.monotonic() - started
    page.close()
    return name, *(f"{seconds:.1f} s" for seconds in (heading, networks, again, trained))


def _visit(browser: Browser, url: str) -> tuple[Page, float, float]:
    """A page without a cache, and the seconds until its heading stands and until it shows networks."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(WAIT_MS)
    started = time.monotonic()
    page.goto(url)
    page.get_by_role("heading", level=1).wait_for()
    heading = time.monotonic() - started
    page.wait_for_function(NETWORKS)
    return page, heading, time.monotonic() - started


class _Server(ServerProcess):
    def __init__(self, **environment: str) -> None:
        super().__init__(NTK_STORE="none", **environment)
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
