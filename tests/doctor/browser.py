"""A real browser without a window: what it makes of a page, and pictures of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_SECONDS = 120
_NARROWEST = 500
"""No window of Chromium is narrower; a phone's width is a frame inside."""


def program(*names: str) -> str:
    """Return the first program of these names; the test is left out where there is none, but fails in CI."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is not None:
        return found
    reason = f"not installed here: {' or '.join(names)}"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def dom_of(page: Path) -> str:
    """Return the document as the browser understood it."""
    return _run("--dump-dom", page.as_uri())


def picture_of(page: Path, picture: Path, *, width: int, height: int, dark: bool = False) -> bytes:
    """Return a picture (PNG) of the page at that width, in light or dark."""
    frame = picture.with_suffix(".frame.html")
    style = f"width:{width}px;height:{height}px;border:0"
    frame.write_text(f'<body style="margin:0"><iframe src="{page.as_uri()}" style="{style}"></iframe></body>')
    scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    size = f"--window-size={max(width, _NARROWEST)},{height}"
    _run("--hide-scrollbars", size, *scheme, f"--screenshot={picture}", frame.as_uri())
    return picture.read_bytes()


def _run(*arguments: str) -> str:
    command = [
        program(*_NAMES),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
