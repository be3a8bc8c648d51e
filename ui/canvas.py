"""The canvas of the Drag tab: arrows, pins and a mask are drawn on a photograph, in a `gr.HTML` of our own.

Its value is the JSON of a `CanvasState`. `input` is triggered when a user has changed it, never by Python. The
photograph and the flow over it are properties beside the value, so that no browser sends them back.

It is a function and no subclass: Gradio writes a .pyi file beside the module of every subclass.
"""

from __future__ import annotations

import base64
import io
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from ui.canvas_state import (
    TABLE_HEADERS,
    CanvasState,
    clicked,
    from_table,
    mask_url,
    to_table,
)

__all__ = [
    "TABLE_HEADERS",
    "CanvasState",
    "canvas_update",
    "clicked",
    "drag_canvas",
    "from_table",
    "mask_url",
    "picture_url",
    "to_table",
]

SHOWN_SIDE = 1280
"""Longer side of what is shown of a photograph, at most; points are those of the photograph itself."""
_STATIC = Path(__file__).parent / "static"
_SCRIPTS = ("canvas_state.js", "canvas_mask.js", "canvas_points.js", "canvas.js")
"""One after the other they are the body of one function."""


def drag_canvas(
    photo: np.ndarray | None = None,
    state: CanvasState | None = None,
    flow: np.ndarray | None = None,
    *,
    label: str = "Photograph to drag on",
    **others: Any,
) -> gr.HTML:
    """Make the component; see `canvas_update` for the photograph and the flow.

    Args:
        photo: (h, w, 3) uint8.
        state: what is drawn on it.
        flow: (h, w, 3) uint8, shown instead of the photograph on request.
        label: read to those who do not see it.
        others: of `gr.HTML`.
    """
    return gr.HTML(
        html_template=_read("canvas.html"),
        css_template=_read("canvas.css"),
        js_on_load="\n".join(map(_read, _SCRIPTS)),
        apply_default_css=False,
        label=label,
        **_shown(photo, state, flow),
        **others,
    )


def canvas_update(
    photo: np.ndarray | None, state: CanvasState | None = None, flow: np.ndarray | None = None
) -> dict[str, Any]:
    """What an event returns to show a photograph, a flow over it and what is drawn.

    Gradio forgets properties that an update leaves out, so the photograph is given each time. To change only what
    is drawn, return `state.to_json()`.

    Args:
        photo: (h, w, 3) uint8; None: an empty canvas.
        state: what is drawn; None: nothing.
        flow: picture of the photograph's shape, such as `draw_flow` makes; None: no flow.
    """
    return gr.update(**_shown(photo, state, flow))


def picture_url(picture: np.ndarray, side: int = SHOWN_SIDE) -> str:
    """A picture (h, w, 3) uint8 as a JPEG data URL, made smaller where it is large."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(f"picture: {picture.dtype} {picture.shape}, expected uint8 (height, width, 3)")
    shown = Image.fromarray(picture)
    shown.thumbnail((side, side), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    shown.save(file, "JPEG", quality=92, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _shown(photo: np.ndarray | None, state: CanvasState | None, flow: np.ndarray | None) -> dict[str, Any]:
    if photo is None:
        return {"value": CanvasState().to_json(), "picture": "", "overlay": ""}
    size = (photo.shape[1], photo.shape[0])
    state = state or CanvasState(size=size)
    if state.size != size:
        raise ValueError(f"state: drawn on {state.size} pixels, the photograph has {size}")
    overlay = "" if flow is None else picture_url(flow)
    return {"value": state.to_json(), "picture": picture_url(photo), "overlay": overlay}


@cache
def _read(name: str) -> str:
    return (_STATIC / name).read_text(encoding="utf-8")
