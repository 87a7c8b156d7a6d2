"""Gets a Chromium for the browser tests: an installed one, else the system's, else Playwright's own download."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


def installed() -> str | None:
    """Path of a Chromium or Chrome on this machine, Playwright's included."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    if os.path.exists(MAC):
        return MAC
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if path and os.path.exists(path) else None


def get() -> str:
    """An installed browser, after trying to install one; leaves with a sentence if none can be had."""
    if path := installed():
        return path
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        _try("apt-get", "update", "-qq")
        _try("apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium")
    if path := installed():
        return path
    _try(sys.executable, "-m", "playwright", "install", "chromium")
    if path := installed():
        return path
    sys.exit(
        "The browser tests need Chromium or Chrome, and none could be installed here. "
        "Install one (on Debian: apt install chromium) and run make test again."
    )


def _try(*command: str) -> None:
    print("$", *command, flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, env=environment)


if __name__ == "__main__":
    print("Browser for the tests:", get())
