"""Gets a Chromium for the browser tests: an installed one, else the system's, else Playwright's own download."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from playwright.sync_api import Playwright, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
NONE = (
    "The browser tests need Chromium or Chrome, and none is here or could be installed. Install one "
    "(on Debian: apt install chromium), or name one in the environment variable NTK_BROWSER."
)
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


def installed(playwright: Playwright) -> str | None:
    """Path of the browser that NTK_BROWSER names, an installed Chromium or Chrome, or Playwright's own download."""
    downloaded = playwright.chromium.executable_path
    found = [os.environ.get("NTK_BROWSER"), *map(shutil.which, NAMES)]
    found += [path for path in (MAC, downloaded) if path and os.path.exists(path)]
    return next(filter(None, found), None)


def get() -> str:
    """An installed browser, after trying to install one; leaves with a sentence if none can be had."""
    with sync_playwright() as playwright:
        for install in (lambda: None, _from_the_system, _from_playwright):
            install()
            if path := installed(playwright):
                return path
    sys.exit(NONE)


def _from_the_system() -> None:
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        _try("apt-get", "update", "-qq")
        _try("apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium")


def _from_playwright() -> None:
    _try(sys.executable, "-m", "playwright", "install", "chromium")


def _try(*command: str) -> None:
    print("$", *command, flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, env=environment)


if __name__ == "__main__":
    print("Browser for the tests:", get())
