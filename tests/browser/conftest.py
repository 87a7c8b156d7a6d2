"""A real Chromium in front of the real server: one of each for all browser tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from tests.browser import get_browser

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip
START_SECONDS = 90.0
SLOW_MS = 60_000  # how long an expectation may take on a busy machine
DETACHED = "30"  # seconds for which a run goes on that nobody watches: what one test leaves must not delay the others


def executable(playwright: Playwright) -> str:
    """The browser that is there; without one the tests fail, and say what to do."""
    if path := get_browser.installed(playwright):
        return path
    pytest.fail(get_browser.NONE, pytrace=False)


@pytest.fixture(scope="module")  # Playwright keeps an event loop running: not beside other tests
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=SLOW_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable(playwright), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the real server on a free port, ready and warm."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log.txt"
    command = [sys.executable, "-m", "streamlit", "run", "app/server.py", "--server.port", str(port)]
    surroundings = os.environ | {"NTK_DETACHED_SECONDS": DETACHED}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, "--server.address", "127.0.0.1"], cwd=ROOT, env=surroundings, stdin=subprocess.DEVNULL,
            stdout=file, stderr=file,
        )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        _await(f"{address}/ntk/health", process, log)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _await(url: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    pytest.fail(f"the server did not start:\n{log.read_text(errors='replace')[-3000:]}", pytrace=False)


@pytest.fixture(scope="module")
def tabs(browser: Browser) -> Iterator[BrowserContext]:
    """The browser session of most tests, so that its cache is filled once."""
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def open_page(browser: Browser, tabs: BrowserContext, server: str) -> Iterator[Callable[..., Page]]:
    """Opens a path of the app in a tab, or in a browser session of its own; no tab may have logged an error.

    Requests to addresses that contain `failing` may fail: the browser logs that itself.
    """
    opened, errors = [], list[str]()

    def open_page(
        path: str = "",
        *,
        width: int = 1440,
        height: int = 900,
        scheme="light",
        apart: bool = False,
        failing: str | None = None,
    ) -> Page:
        context = browser.new_context() if apart else tabs
        page = context.new_page()
        opened.append(context if apart else page)
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        page.set_default_timeout(SLOW_MS)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if _is_error(message, failing) else None)
        page.goto(f"{server}/{path}")
        return page

    yield open_page
    for item in opened:
        item.close()
    assert errors == []


def _is_error(message, failing: str | None) -> bool:
    """Errors, but for Streamlit's own search for its base path, which looks below the page's path first."""
    expected = ["/_stcore/", *filter(None, [failing])]
    return message.type == "error" and not any(part in message.location.get("url", "") for part in expected)
