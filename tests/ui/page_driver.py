"""A page of `mien app` in a headless Chromium, worked as a person works it."""

from __future__ import annotations

import os
import time
import urllib.request
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from tests.ui.chromium import Chromium

SCREENSHOTS = os.environ.get("MIEN_SCREENSHOTS")
"""Folder for the pictures of the documentation."""


class Page:
    """The page of a server at an address."""

    def __init__(self, chromium: Chromium, address: str) -> None:
        self.chromium, self.address = chromium, address
        self.evaluate, self.wait_for = chromium.evaluate, chromium.wait_for

    def open(self) -> None:
        self.chromium.navigate(self.address)
        self.wait_for("!!document.querySelector('#portrait-run')")

    def tab(self, title: str) -> None:
        """Choose a tab, in the menu of those that have no room where need be."""
        find = (
            f"[...document.querySelectorAll('button[role=tab]')].find(x => x.textContent.trim() == '{title}')"
        )
        self.wait_for(f"!!{find}")
        self.evaluate(f"{find}.click()")
        self.wait_for(f"{find}.ariaSelected == 'true'")
        time.sleep(0.3)

    def open_tab(self) -> str:
        return self.evaluate(
            "[...document.querySelectorAll('button[role=tab]')].find(x => x.ariaSelected == 'true').textContent.trim()"
        )

    def click(self, selector: str) -> None:
        """Press what can be pressed where it is seen."""
        x, y, *_ = self.place(selector)
        self.chromium.click(x, y)

    def place(self, selector: str) -> tuple[float, float, float, float]:
        """Middle, width and height of an element, scrolled into view."""
        box = f"document.querySelector({selector!r})"
        self.wait_for(f"!!{box} && {box}.getBoundingClientRect().width > 0")
        self.evaluate(f"{box}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        time.sleep(0.15)
        left, top, width, height = self.evaluate(
            f"(r => [r.x, r.y, r.width, r.height])({box}.getBoundingClientRect())"
        )
        return left + width / 2, top + height / 2, width, height

    def consent(self, task: str) -> None:
        """Tick the box in the panel of a task."""
        panel = f"document.querySelector('#{task}-run').closest('[role=tabpanel]')"
        self.evaluate(f"(box => box.checked || box.click())({panel}.querySelector('input[type=checkbox]'))")

    def set_range(self, selector: str, value: float) -> None:
        """Move a slider and let it go."""
        self.evaluate(
            f"""(slider => {{
              Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(slider, {value});
              slider.dispatchEvent(new Event('input', {{bubbles: true}}));
              slider.dispatchEvent(new PointerEvent('pointerup', {{bubbles: true}}));
            }})(document.querySelector('{selector} input[type=range]'))"""
        )

    def source(self, selector: str) -> str:
        """Address of a picture, "" without."""
        return self.evaluate(f"document.querySelector('{selector} img')?.src ?? ''")

    def run(self, task: str) -> np.ndarray:
        """Press the button of a task and wait for another picture than there was."""
        before = self.source(f"#{task}-result")
        self.click(f"#{task}-run")
        return self.next_picture(f"#{task}-result", before)

    def next_picture(self, selector: str, before: str = "") -> np.ndarray:
        """Wait for a picture that is not the one before, and return it as it is on the disk of the server."""
        end = time.monotonic() + 60
        while (address := self.source(selector)) in ("", before):
            assert time.monotonic() < end, f"no picture in {selector}; the page says: {self.messages()}"
            time.sleep(0.05)
        return picture(self.bytes_of(address))

    def bytes_of(self, address: str) -> bytes:
        with urllib.request.urlopen(address, timeout=20) as answer:
            return answer.read()

    def messages(self) -> str:
        """What toasts say."""
        return self.evaluate("[...document.querySelectorAll('.toast-body')].map(x => x.innerText).join('|')")

    def hears(self, text: str) -> None:
        """Wait for a toast with some text."""
        self.wait_for(
            f"[...document.querySelectorAll('.toast-body')].some(x => x.innerText.includes({text!r}))"
        )

    def screenshot(self, name: str, width: int = 1280, tallest: int = 2400) -> None:
        """Keep what is seen for the documentation, if it is wanted."""
        if not SCREENSHOTS:
            return
        self.evaluate("document.querySelectorAll('.toast-close').forEach(x => x.click())")
        self.evaluate("window.scrollTo(0, 0)")
        height = int(self.evaluate("document.documentElement.scrollHeight"))
        self.chromium.resize(width, min(height, tallest))
        time.sleep(1.0)
        shot = self.chromium.screenshot(Path(SCREENSHOTS) / f"page-{name}.png")
        Image.open(shot).convert("RGB").save(shot.with_suffix(".webp"), quality=82, method=6)
        shot.unlink()
        self.chromium.resize(width, 900)


def picture(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(data)).convert("RGB"))
