"""The GLB of a head as a person sees it: in the viewer of a Gradio app, on a screenshot of Chromium.

Needs no network and no graphics card. A damaged file stands beside the whole one and has as much time to show.
"""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from tests.pipelines.texture_components import toy_photo, toy_texture_pipeline

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--hide-scrollbars",
    "--window-size=1200,700", "--force-device-scale-factor=1", "--virtual-time-budget=60000",
)  # fmt: skip
"""SwiftShader draws WebGL on the processor. Virtual time stands still while something loads: 6 s instead of 60."""
WHOLE, DAMAGED = ((slice(60, 480), slice(left, left + 440)) for left in (136, 624))
"""Pixels of both viewers in such a window, less their frames, labels and buttons."""
SCREENSHOTS = 4
"""At most; on a busy machine virtual time runs out before the head is drawn."""
CAMERA = (90, 90, None)
"""Degrees around and from above; by default Gradio looks down at a model by 15."""
SIDE = 64

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt install chromium"),
    pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="Gradio is not installed"),
]


def served(files, folder):
    """An app that shows 3D files side by side, on a port of its own; Gradio copies them below the folder."""
    import gradio as gr

    with gr.Blocks(analytics_enabled=False) as app, gr.Row():
        for file in files:
            gr.Model3D(str(file), height=480, clear_color=(1, 1, 1, 1), camera_position=CAMERA)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app.launch(
        prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", server_port=port, ssr_mode=False,
        allowed_paths=[str(folder)],
    )  # fmt: skip
    return app, f"http://127.0.0.1:{port}/"


def screenshot(address, folder):
    path = folder / "screenshot.png"
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'chromium'}", f"--screenshot={path}", address]
    subprocess.run(command, check=True, capture_output=True, timeout=240)
    return np.asarray(Image.open(path).convert("RGB"))


def head_in(picture):
    """Where a picture (h, w, 3) shows something on white, (h, w) bool."""
    return picture.min(axis=-1) < 235


def portrait(picture):
    """The head in a picture, in the size in which heads are compared."""
    rows, columns = np.nonzero(head_in(picture))
    cut = picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return cv2.resize(cut, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def likeness(shown, drawn):
    """Correlation of the hues of two heads, place by place; viewers change brightness and contrast."""
    hues = []
    for picture in (shown, drawn):
        inside = picture[SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4].astype(np.float64)
        hue = inside - inside.mean(axis=-1, keepdims=True)
        hues.append((hue - hue.mean(axis=(0, 1))).ravel())
    return float(np.corrcoef(*hues)[0, 1])


def test_the_viewer_shows_a_head_from_the_front_and_nothing_of_a_damaged_file(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    pipe = toy_texture_pipeline()
    made = pipe(toy_photo(), generator=torch.Generator().manual_seed(0))
    whole, damaged = tmp_path / "head.glb", tmp_path / "damaged.glb"
    data = pipe.export_glb(whole, made).read_bytes()
    damaged.write_bytes(data[: len(data) // 2])

    app, address = served([whole, damaged], tmp_path)
    try:
        for _ in range(SCREENSHOTS):
            page = screenshot(address, tmp_path)
            if head_in(page[WHOLE]).any():
                break
    finally:
        app.close()

    shown = page[WHOLE]
    assert 0.15 < head_in(shown).mean() < 0.6
    assert head_in(page[DAMAGED]).mean() == 0

    colours = np.asarray(made.texture[0]).reshape(-1, 3).astype(np.float32)
    pixels = shown[head_in(shown)][::97].astype(np.float32)
    distances = np.linalg.norm(pixels[:, None] - colours, axis=-1).min(axis=1)
    assert (distances < 32).mean() > 0.9

    drawn = {yaw: portrait(pipe.turntable(made, yaws=[yaw], size=512)[0]) for yaw in (0, -40, 40, 90, 180)}
    alike = {yaw: likeness(portrait(shown), picture) for yaw, picture in drawn.items()}
    assert alike.pop(0) > 0.9 > 0.7 > max(alike.values())
    assert likeness(portrait(shown)[:, ::-1], drawn[0]) < 0.7
