"""What visitors of a launched server ask for, and how they wait."""

from __future__ import annotations

import time
import uuid

import httpx

from ui.canvas_state import CanvasState

TASKS = ["portrait", "expression", "makeup", "drag", "texture"]
DRAWN = CanvasState.at_places([((10.5, 10.5), (20.5, 12.5))], [], (96, 96)).to_json()


def asked(task, given, consented=True, **others):
    common = {"consented": consented, "seed": 3, "steps": 2, "api_name": f"/{task}"}
    own = {
        "portrait": {"photos": [given], "prompt": "a person", "negative_prompt": "", "count": 2},
        "expression": {"photo": given, "expression": "happy"},
        "makeup": {
            "photo": given, "reference": None, "lips": "#b0203a", "shadow": None, "liner": None, "blush": None,
            "regions": ["lips"],
        },
        "drag": {"photo": given, "drawn": DRAWN},
        "texture": {"photo": given},
    }[task]  # fmt: skip
    return common | own | others


def given_file(path):
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def until(is_true, seconds=20):
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, "never true"
        time.sleep(0.05)


def sent(server, task, values, session=None):
    """What the page says to values that gradio_client would not send."""
    config = httpx.get(f"{server[0]}config").json()
    event = next(one for one in config["dependencies"] if one["api_name"] == task)
    body = {"data": values, "fn_index": event["id"], "session_hash": session or uuid.uuid4().hex}
    assert httpx.post(f"{server[0]}gradio_api/queue/join", json=body).is_success
    asked = {"session_hash": body["session_hash"]}
    with httpx.stream("GET", f"{server[0]}gradio_api/queue/data", params=asked, timeout=30) as answer:
        return next(line for line in answer.iter_lines() if "process_completed" in line)
