"""What a call of the texture pipeline returns, and the files that are written of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.utils import BaseOutput

from faces.provenance import Provenance, save_image
from pipelines.texture import export
from pipelines.texture.camera import as_array
from pipelines.texture.inputs import HeadMesh
from pipelines.texture.template import HeadTemplate
from pipelines.texture.turntable import turntable


@dataclass
class TextureOutput(BaseOutput):
    """What `TexturePipeline` returns: lists with an entry for each texture, those of the first input first."""

    texture: list[Any]
    """PIL images, or arrays (s, s, 3) or tensors (3, s, s) float32 in 0..1."""
    provenance: list[np.ndarray]
    """(s, s) uint8, values of `TexelOrigin`."""
    partial: list[np.ndarray]
    """(s, s, 3) float32 in 0..1, what was known of it; 0 where nothing was."""
    visibility: list[np.ndarray]
    """(s, s) float32 in 0..1, how well."""
    mesh: list[HeadMesh]
    """The mesh that the texture is for."""


class TextureFilesMixin:
    """Writes textured heads; the parts are those of `TexturePipeline`."""

    template: HeadTemplate
    provenance: Callable[..., Provenance]

    def export_glb(
        self,
        path: str | os.PathLike[str],
        made: TextureOutput,
        index: int = 0,
        *,
        record: Provenance | None = None,
        unlit: bool = True,
    ) -> Path:
        """Write a head with its texture as one binary glTF file.

        Args:
            path: .glb; the folder exists.
            made: what a call returned.
            index: which of its textures.
            record: how it was made; that of `provenance` unless given, which knows no seed.
            unlit: see `pipelines.texture.export.export_glb`.
        """
        vertices, texture, record = self._to_write(made, index, record)
        return export.export_glb(path, vertices, self.template, texture, record, unlit=unlit)

    def export_obj(
        self,
        path: str | os.PathLike[str],
        made: TextureOutput,
        index: int = 0,
        *,
        record: Provenance | None = None,
    ) -> Path:
        """Write a head as OBJ, with its material and texture beside it; arguments as of `export_glb`."""
        vertices, texture, record = self._to_write(made, index, record)
        return export.export_obj(path, vertices, self.template, texture, record)

    def export_png(
        self,
        path: str | os.PathLike[str],
        made: TextureOutput,
        index: int = 0,
        *,
        record: Provenance | None = None,
    ) -> Path:
        """Write a texture alone, in any format of `faces.provenance.save_image`; arguments as of `export_glb`."""
        _, texture, record = self._to_write(made, index, record)
        return save_image(texture, path, record)

    def turntable(self, made: TextureOutput, index: int = 0, **options: Any) -> np.ndarray:
        """Draw a head with its texture from several sides; options and result of `turntable.turntable`."""
        return turntable(made.mesh[index].vertices, self.template, _array(made.texture[index]), **options)

    def _to_write(
        self, made: TextureOutput, index: int, record: Provenance | None
    ) -> tuple[np.ndarray, np.ndarray, Provenance]:
        record = self.provenance() if record is None else record
        return made.mesh[index].vertices, _array(made.texture[index]), record


def _array(texture: Any) -> np.ndarray:
    """(s, s, 3) of a texture of any output type."""
    array = as_array(texture)
    return np.moveaxis(array, 0, -1) if isinstance(texture, torch.Tensor) else array
