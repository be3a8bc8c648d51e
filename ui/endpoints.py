"""What programs and assistants are told of each endpoint."""

from __future__ import annotations

import gradio as gr

_CONSENT = "`consented` is true only if the people in the photographs agreed to this use."
_SYNTHETIC = "The result is synthetic, and its file says so."
DESCRIPTIONS = {
    "portrait": f"Portraits of the person in one or more photographs, after a prompt. {_CONSENT} {_SYNTHETIC}",
    "expression": "A face with another expression: one of eight by name, or action units from 0 to 1.5 with "
    f"`expression` 'by action units'. Without a photograph the face is a new one. {_CONSENT} {_SYNTHETIC}",
    "expression_preview": "The same as `expression`, in six steps, kept in no gallery.",
    "makeup": f"Makeup of a reference photograph or in colours put on a face, or taken off. {_CONSENT} {_SYNTHETIC}",
    "drag": "Points of a face moved along arrows. `drawn` has drags [x, y, to x, to y] and pins [x, y] as shares of "
    f"width and height, and the photograph's size in pixels. {_CONSENT} {_SYNTHETIC}",
    "drag_preview": "The predicted flow of `drag`, and the photograph with its pixels moved, at once, if `live`.",
    "texture": f"The face in a photograph as a textured head (GLB), with what is seen and what is invented. {_CONSENT} "
    + _SYNTHETIC,
    "dataset_plan": "What a labelled synthetic dataset would hold, in words; nothing is made.",
    "dataset_preview": "A few pictures of a labelled synthetic dataset, on one sheet.",
    "dataset": "Make a labelled synthetic dataset: contact sheet, ZIP and report. It takes minutes; `stop` ends it.",
    "results": "Pictures that were made in this session, the newest first.",
    "stop": "End what is being computed for this session.",
    "models": "Which weights serve which task.",
    "load_model": "Load other weights, or onto another device; only on a page for this machine alone.",
    "doctor": "What is installed, which devices work, and how to get what is missing.",
}
"""Endpoint -> one line or two."""


def describe(app: gr.Blocks) -> None:
    """Give every endpoint its description, and tools of the Model Context Protocol its name.

    Raises:
        ValueError: an endpoint has none here.
    """
    for event in app.fns.values():
        if not event.api_name or event.api_visibility != "public":
            continue
        if event.api_name not in DESCRIPTIONS:
            raise ValueError(f"endpoint {event.api_name}: no description")
        event.api_description = DESCRIPTIONS[event.api_name]
        if event.fn is not None:
            event.fn.__name__ = event.api_name  # where Gradio takes the name of a tool from
