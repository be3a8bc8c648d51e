"""Values that no control gives: numbers that are none, unknown choices, wrong types, files of others, odd drawings."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from ui.evaluation import valid
from ui.evaluation.cases import Case, Scene
from ui.evaluation.valid import TASKS
from ui.evaluation.visitor import HUGE, Answer, uploaded

SEED = 20261128
NUMBERS = {
    "portrait": ("count", "identity", "guidance", "seed", "steps"),
    "expression": ("intensity", "AU12L", "seed", "steps"),
    "makeup": ("strength", "seed", "steps"),
    "drag": ("seed", "steps"),
    "texture": ("temperature", "seed", "steps"),
    "dataset_plan": ("people", "seed"),
}
"""Task -> parameters that are numbers."""
BY_UNITS = "by action units"
"""That of `ui.expression`, which takes seconds to import."""
_NO_NUMBERS: dict[str, Any] = {
    "NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf, "1e400": HUGE, "-1": -1, "10**30": 10**30,
    "-1e308": -1e308, "text": "seven", "digits as text": "7", "a list": [1], "an object": {"value": 1}, "true": True,
    "null": None,
}  # fmt: skip
_OF_NUMBERS = 26
_A_FILE = "photo|file|upload"
"""Words for what should have been one."""
_LONG = "a face " * 150_000
"""A megabyte."""
_REFUSED = (
    "portrait of a child, 8 years old", "a naked person", "passport photo of a person",
    "portrait of the president of France", "face of a born criminal",
)  # fmt: skip
"""Prompts that the policy refuses."""


def cases() -> list[Case]:
    """All of them."""
    return [*_numbers(), *_choices(), *_types(), *_texts(), *_files(), *_consents(), *_drawings()]


def _changed(name: str, task: str, naming: str, **wrong: Any) -> Case:
    send = functools.partial(_send_changed, task=task, wrong=wrong)
    return Case(name=f"{task}: {name}", send=send, naming=naming)


def _send_changed(scene: Scene, task: str, wrong: dict[str, Any]) -> Answer:
    if task not in TASKS:
        return scene.visitor.ask(task, wrong)
    return scene.changed(task, **wrong)


def _numbers() -> Iterator[Case]:
    """Every parameter, and every value that is no number or far outside, some of all pairs."""
    every = [(task, name) for task, names in NUMBERS.items() for name in names]
    rng = np.random.default_rng(SEED)
    kinds = [list(_NO_NUMBERS)[place % len(_NO_NUMBERS)] for place in range(_OF_NUMBERS)]
    for (task, name), kind in zip(
        [every[place] for place in rng.permutation(len(every) * 3)[:_OF_NUMBERS] % len(every)], kinds, strict=True
    ):  # fmt: skip
        by_units = {"expression": BY_UNITS} if name.startswith("AU") else {}
        yield _changed(f"{name} is {kind}", task, name, **by_units, **{name: _NO_NUMBERS[kind]})


def _choices() -> list[Case]:
    return [
        _changed("unknown expression", "expression", "expression", expression="smug"),
        _changed("unknown look", "makeup", "source|look", source="airbrush"),
        _changed("unknown region", "makeup", "region", regions=["lips", "forehead"]),
        _changed("a colour that is none", "makeup", "lips|colour", lips="javascript:alert(1)"),
        _changed("no colour at all", "makeup", "colour", lips=None),
        _changed("unknown style", "texture", "style", style="oil"),
        _changed("unknown recipe", "dataset_plan", "recipe|kind", kind="celebrities", people=3),
        _changed("unknown device", "load_model", "device|models", model="mini", device="toaster"),
    ]  # fmt: skip


def _types() -> list[Case]:
    return [
        _changed("prompt is a list", "portrait", "prompt", prompt=["a", "face"]),
        _changed("prompt is a number", "expression", "prompt", prompt=7),
        _changed("prompt is an object", "portrait", "prompt", prompt={"text": "a face"}),
        _changed("what it should not show is true", "portrait", "negative_prompt", negative_prompt=True),
        _changed("photographs are text", "portrait", "photo|file", photos="face.png"),
        _changed("photographs are a number", "portrait", "photo|file", photos=7),
        _changed("photographs are one object", "portrait", "photo|file", photos={"path": "face.png"}),
        _changed("photograph is text", "makeup", "photo|file", photo="face.png"),
        _changed("photograph is a list", "drag", "photo|file", photo=[1, 2]),
        _changed("photograph is true", "texture", "photo|file", photo=True),
        _changed("regions are text", "makeup", "region", regions="lips"),
        _changed("regions are numbers", "makeup", "region", regions=[1, 2]),
        _changed("style is a list", "texture", "style", style=["photoreal"]),
        _changed("delight is text", "texture", "delight", delight="yes"),
        _changed("consent is text", "makeup", "consent", consented="yes"),
        _changed("consent is a number", "portrait", "consent", consented=1),
    ]


def _texts() -> list[Case]:
    return [
        _changed("prompt of a megabyte", "portrait", "prompt", prompt=_LONG),
        _changed("negative prompt of a megabyte", "portrait", "negative_prompt", negative_prompt=_LONG),
        _changed("expression of a megabyte", "expression", "expression", expression=_LONG),
        _changed("style of a megabyte", "texture", "style", style=_LONG),
        _changed("prompt of blanks", "portrait", "prompt", prompt=" \n\t "),
        *(_changed(f"refused prompt {number}", "portrait", "prompt", prompt=text)
          for number, text in enumerate(_REFUSED)),
        _changed("refused prompt", "expression", "prompt", prompt=_REFUSED[0]),
    ]  # fmt: skip


def _files() -> list[Case]:
    """Files that nobody uploaded, or somebody else, and too many of them."""
    elsewhere = {
        "/etc/passwd": "/etc/passwd", "a relative way to /etc/passwd": "../../../../etc/passwd",
        "file:///etc/passwd": "file:///etc/passwd", "this server": "http://127.0.0.1:9/config",
        "a cloud's metadata": "http://169.254.169.254/latest/meta-data/", "an ftp server": "ftp://127.0.0.1/face.png",
        "no path": "", "a NUL": "face\x00.png", "the folder of here": ".",
    }  # fmt: skip
    return [
        *(_file(f"photograph is {name}", task, uploaded(path))
          for task, (name, path) in zip(("makeup", "portrait", "drag") * 3, elsewhere.items(), strict=True)),
        _file("photograph is /etc/passwd without its kind", "texture", {"path": "/etc/passwd"}),
        _file("photograph is /etc/passwd as a stream", "makeup", {**uploaded("/etc/passwd"), "is_stream": True}),
        _file("photograph has a number as its path", "makeup", {**uploaded(""), "path": 7}),
        _changed("look is /etc/passwd", "makeup", _A_FILE, source="reference", reference=uploaded("/etc/passwd")),
        _changed("look is missing", "makeup", "look|photograph", source="reference"),
        Case(name="makeup: photograph is another visitor's", naming=_A_FILE, send=_of_another),
        Case(name="makeup: photograph by a detour, without consent", naming="consent", send=_by_a_detour),
        Case(name="makeup: photograph is the folder of uploads", naming=_A_FILE, send=_the_folder),
        Case(name="makeup: photograph was never there", naming=_A_FILE, send=_never_there),
        *(Case(name=f"portrait: {count} photographs", naming="photo|file", send=functools.partial(_many, count=count))
          for count in (9, 500)),
        *(_file("no photograph", task, None, "photograph") for task in ("makeup", "drag", "texture")),
        _changed("no photograph", "portrait", "photograph", photos=[]),
    ]  # fmt: skip


def _file(name: str, task: str, file: Any, naming: str = _A_FILE) -> Case:
    send = functools.partial(_send_file, task=task, file=file)
    return Case(name=f"{task}: {name}", send=send, naming=naming)


def _send_file(scene: Scene, task: str, file: Any) -> Answer:
    return scene.with_file(task, file)


def _of_another(scene: Scene) -> Answer:
    return scene.with_file("makeup", uploaded(scene.others))


def _by_a_detour(scene: Scene) -> Answer:
    """An upload, named by a way through the visitor's own results, which need no consent."""
    made = Path(valid.request("makeup", scene.photo).ask(scene.visitor).file())
    upload = scene.visitor.upload(scene.photo.name, scene.photo.data).file()
    detour = f"{made.parent}/{os.path.relpath(upload, made.parent)}"
    values = valid.request("makeup", scene.photo).without_consent().values
    return scene.visitor.ask("makeup", {**values, "photo": uploaded(detour)})


def _the_folder(scene: Scene) -> Answer:
    return scene.with_file("makeup", uploaded(str(scene.folder)))


def _never_there(scene: Scene) -> Answer:
    upload = scene.visitor.upload(scene.photo.name, scene.photo.data).file()
    return scene.with_file("makeup", uploaded(f"{upload}.bak"))


def _many(scene: Scene, count: int) -> Answer:
    given = scene.given("portrait")
    return scene.visitor.ask("portrait", {**given, "photos": given["photos"] * count})


def _consents() -> list[Case]:
    return [_changed("without consent", task, "consent", consented=False) for task in TASKS]


def _drawings() -> list[Case]:
    """Canvases that no browser sends."""
    png = "data:image/png;base64,"
    wrong: dict[str, dict[str, Any]] = {
        "an arrow to NaN": {"drags": [[0.4, 0.5, math.nan, 0.5]]},
        "an arrow to infinity": {"drags": [[0.4, 0.5, HUGE, 0.5]]},
        "an arrow out of the picture": {"drags": [[0.4, 0.5, 3, 0.5]]},
        "an arrow of three numbers": {"drags": [[0.4, 0.5, 0.6]]},
        "an arrow of words": {"drags": [["left", "eye", "up", "up"]]},
        "10000 arrows": {"drags": [[0.4, 0.5, 0.45, 0.5]] * 10_000},
        "no arrow": {"drags": []},
        "arrows as text": {"drags": "0.4 0.5 0.6 0.5"},
        "a pin out of the picture": {"pins": [[-0.2, 0.5]]},
        "10000 pins": {"pins": [[0.1, 0.1]] * 10_000},
        "an unfinished arrow": {"start": [0.5, 0.5]},
        "a huge mask": {"mask": png + "A" * 5_000_000},
        "a mask that is no picture": {"mask": png + "aGVsbG8="},
        "a mask that is no base64": {"mask": png + "%%%"},
        "a mask elsewhere": {"mask": "file:///etc/passwd"},
        "a mask that is a number": {"mask": 7},
        "another photograph's size": {"size": [640, 480]},
        "no size": {"size": None},
        "a negative size": {"size": [-96, -96]},
        "an unknown entry": {"script": "alert(1)"},
        "layers as text": {"show": {"flow": "yes"}},
    }  # fmt: skip
    naming = "canvas|arrow|drags|pin|mask|size|show|photograph"
    whole = {"text": "drags", "a list": [[0.4, 0.5, 0.45, 0.5]], "a number": 7, "nothing": None}
    return [
        *(Case(name=f"{task}: {name}", naming=naming, send=functools.partial(_draw, task=task, wrong=more))
          for (name, more), task in zip(wrong.items(), cycle(("drag", "drag", "drag_preview")))),
        *(_changed(f"canvas is {name}", "drag", naming, drawn=value) for name, value in whole.items()),
    ]  # fmt: skip


def _draw(scene: Scene, task: str, wrong: dict[str, Any]) -> Answer:
    given = scene.given("drag")
    return scene.visitor.ask(task, {**given, "drawn": {**given["drawn"], **wrong}})
