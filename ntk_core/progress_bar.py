"""How far long work is, on a terminal as a bar in one line, elsewhere as a line every tenth of the way."""

from __future__ import annotations

import sys
import time
from typing import TextIO

WIDTH = 32
_EVERY_SECONDS = 0.1
_TRUSTED_SHARE = 0.02  # below it the time that is left is anyone's guess


class ProgressBar:
    """Shows a share of work that grows from 0 to 1.

    Args:
        label: what is done, in a word or two.
        stream: where to; by default standard error.
    """

    def __init__(self, label: str, stream: TextIO | None = None) -> None:
        self.label = label
        self.stream = sys.stderr if stream is None else stream
        self.share = 0.0
        self._began = self._shown_at = time.monotonic()
        self._tenths = 0
        self._terminal = self.stream.isatty()

    def at(self, share: float | None) -> None:
        """The work is that far; it never goes back, and None says nothing new."""
        if share is None or share <= self.share:
            return
        self.share = min(share, 1.0)
        now = time.monotonic()
        if not self._terminal and int(10 * self.share) > self._tenths:
            self._tenths = int(10 * self.share)
            print(self.line(), file=self.stream, flush=True)
        elif self._terminal and (now - self._shown_at >= _EVERY_SECONDS or self.share == 1.0):
            self._shown_at = now
            print(f"\r{self.line()}\x1b[K", end="", file=self.stream, flush=True)

    def close(self) -> None:
        """Ends the line, so that what follows starts on its own."""
        if self._terminal and self.share:
            print(file=self.stream, flush=True)

    def line(self) -> str:
        """What is shown, e.g. "circle [#####.....]  50 %, 0:12 left"."""
        done = int(WIDTH * self.share)
        bar = f"[{'#' * done}{'.' * (WIDTH - done)}] " if self._terminal else ""
        return f"{self.label} {bar}{100 * self.share:3.0f} %{self._left()}"

    def _left(self) -> str:
        if not _TRUSTED_SHARE <= self.share < 1.0:
            return ""
        seconds = (time.monotonic() - self._began) * (1 - self.share) / self.share
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f", {hours}:{minutes:02}:{rest:02} left" if hours else f", {minutes}:{rest:02} left"
