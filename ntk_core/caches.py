"""Where this user's programs keep what they could make again."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder(instead: str) -> Path:
    """This program's folder among the user's caches, by the custom of the system; it need not exist.

    Args:
        instead: the environment variable that names another place, for the sentence.

    Raises:
        OSError: the user has no home folder.
    """
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        caches = Path(os.environ["LOCALAPPDATA"])
    elif sys.platform == "darwin":
        caches = _home(instead) / "Library" / "Caches"
    else:
        named = Path(os.environ.get("XDG_CACHE_HOME", ""))
        caches = named if named.is_absolute() else _home(instead) / ".cache"  # a relative one is to be ignored
    return caches / "ntk-explorer"


def _home(instead: str) -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise OSError(None, f"there is no home folder to keep them in; {instead} names another") from error
