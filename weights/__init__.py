"""The weights that come with Mien: safetensors in folders beside this file."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
CONTENTS = {
    "mini": "the portrait pipeline, in diffusers layout",
    "makeup": "the makeup pipeline, in diffusers layout",
    "drag": "the drag pipeline, in diffusers layout",
    "texture": "the texture pipeline, in diffusers layout",
    "perception": "reads faces for FaceAnalyzer: landmarks, parsing, action units, expression and more",
}
"""Name -> what it is for; every other folder below weights/ is found as well."""
REMEDY = "install Mien from its wheel, or clone the whole repository"


def bundled(name: str) -> Path:
    """Find the folder of bundled weights.

    Args:
        name: folder below weights/, such as "mini".

    Raises:
        FileNotFoundError: when there is no such folder, naming what is there.
    """
    folder = FOLDER / name
    if name and folder.parent == FOLDER and folder.is_dir() and not name.startswith(("_", ".")):
        return folder
    present = ", ".join(available()) or "none"
    raise FileNotFoundError(
        f"bundled weights '{name}': no such folder {folder}; bundled are: {present}; {REMEDY}"
    )


def available() -> dict[str, Path]:
    """Return the bundled weights, name -> folder."""
    folders = sorted(path for path in FOLDER.iterdir() if path.is_dir() and path.name[0] not in "_.")
    return {path.name: path for path in folders}
