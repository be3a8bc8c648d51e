"""Renders a `HeadSpec` with exact ground truth: moderngl on EGL, software or GPU.

The picture is drawn at `supersampling` times its size and averaged down; labels are drawn at its own size.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from faces.head import palette
from faces.head.assets import HeadAssets, load_assets
from faces.head.camera import project, projection
from faces.head.context import GlContext
from faces.head.expression import mouth_is_open
from faces.head.geometry import Part, build_parts, glasses_mesh
from faces.head.landmarks import landmark_vertices, snap_to_outline
from faces.head.morph import HeadShape, MorphModel
from faces.head.occlusion import baked_occlusion
from faces.head.regions import Regions, build_regions
from faces.head.scene import PLAIN, Scene, Shading
from faces.head.spec import HeadSpec


@dataclass(frozen=True, slots=True)
class HeadImage:
    """One rendered head; arrays are (size, size, ...) with rows from the top.

    Attributes:
        rgb: uint8 picture over its background.
        alpha: uint8 coverage of the head and shoulders.
        parsing: uint8 ids of `vocabulary.PARSING`.
        landmarks: (68, 2) float32 projected landmarks in pixels.
        outline_landmarks: the same with the jaw on the visible outline.
        depth: float32 distance from the camera in dm, inf where there is background.
        normals: float32 world normals, zero where there is background.
        uv: float32 (u, v) texture place in the skin layout, v down; zero outside the body.
        body: bool, whether the skin layout applies to the pixel.
        flow: float32 (dx, dy) pixels to where the point is in the second picture, or None.
        co_visible: bool, whether that point is seen in the second picture, or None.
    """

    rgb: np.ndarray
    alpha: np.ndarray
    parsing: np.ndarray
    landmarks: np.ndarray
    outline_landmarks: np.ndarray
    depth: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    body: np.ndarray
    flow: np.ndarray | None = None
    co_visible: np.ndarray | None = None


_TOUCHED = 0.02
"""Share of a point in a pixel below which that pixel does not tell whether the point is seen."""


class HeadRenderer:
    """Draws heads. One renderer a process; not thread-safe.

    Args:
        makehuman: MakeHuman data folder, or None for MIEN_MAKEHUMAN.

    Raises:
        AssetError: the head assets are missing or damaged.
        ImportError: moderngl is not installed (`pip install mien[render]`).
        RuntimeError: no EGL context can be made.
    """

    def __init__(self, makehuman: str | Path | None = None) -> None:
        self.assets: HeadAssets = load_assets(makehuman)
        self.model = MorphModel(self.assets)
        self.parts: dict[str, Part] = build_parts(self.assets)
        self.regions: Regions = build_regions(self.assets)
        self.landmark_vertices = landmark_vertices(self.assets)
        self._occlusion = baked_occlusion(self.assets, self.parts)
        self.textures = palette.load_textures(self.assets)
        self._gl = GlContext(self.assets, self.parts, self.regions, self.textures)
        self._static = {name: self._static_attributes(name) for name in self.parts}

    def render(
        self, spec: HeadSpec, size: int, shading: Shading = PLAIN, other: HeadSpec | None = None
    ) -> HeadImage:
        """Render one spec at size x size pixels; with `other` (the same identity and look) also the flow to it."""
        scene, target = self._scenes(spec, other)
        with self._gl.gl:  # another renderer of this process may have made its own context current
            rgba = self._gl.draw_colour(scene, size * shading.supersampling, shading)
            truth = self._gl.draw_truth(scene, target, size)
            seen = self._gl.draw_truth(target, scene, size) if other is not None else None
        return self._assemble(scene, target, rgba, truth, seen, size)

    def render_pair(
        self, first: HeadSpec, second: HeadSpec, size: int, shading: Shading = PLAIN
    ) -> tuple[HeadImage, HeadImage]:
        """Render one head in two states under the first one's camera, each with the flow to the other.

        `render` aims a camera at every face; here it stands still, so that a face that moves moves in the picture.

        Raises:
            ValueError: two heads, or two looks.
        """
        scene, target = self._scenes(first, second)
        target.camera, target.eye = scene.camera, scene.eye
        with self._gl.gl:
            there, back = self._gl.draw_truth(scene, target, size), self._gl.draw_truth(target, scene, size)
            seen = [
                self._gl.draw_colour(one, size * shading.supersampling, shading) for one in (scene, target)
            ]
        return (
            self._assemble(scene, target, seen[0], there, back, size),
            self._assemble(target, scene, seen[1], back, there, size),
        )

    def _scenes(self, spec: HeadSpec, other: HeadSpec | None) -> tuple[Scene, Scene]:
        """Pose a spec and the other state: both show the same meshes, so every point of one exists in the other."""
        open_mouth = any(mouth_is_open(one.state.action_units) for one in (spec, other) if one is not None)
        scene = self._scene(spec, open_mouth)
        if other is None:
            return scene, scene
        target = self._scene(other, open_mouth)
        if [name for _, name in target.names] != [name for _, name in scene.names]:
            raise ValueError("flow needs two specs of one head: the same identity and the same look")
        return scene, target

    def _scene(self, spec: HeadSpec, open_mouth: bool) -> Scene:
        look, identity = spec.look, spec.identity
        hair = palette.HAIR_MESH[look.hair_style]
        shape = self.model.shape(spec, identity.brow_style, hair)
        landmarks = shape.base[self.landmark_vertices]
        camera, eye = projection(spec.camera, landmarks)
        names = [("body", "body"), ("eyes", "eyes")]
        if open_mouth:
            names += [("teeth", "teeth"), ("tongue", "tongue")]
        names += [("brow", identity.brow_style), ("lashes", "lashes")]
        if look.glasses > 0:
            names.append(("glasses", "glasses"))
        if hair:
            names.append(("hair", hair))
        buffers = {}
        for _, name in names:
            if name == "glasses":
                buffers[name] = self._glasses(shape)
                continue
            vertices = shape.base if name == "body" else shape.proxies[name]
            part = self.parts[name]
            moving = np.concatenate([vertices[part.vertex], part.normals(vertices)], axis=1, dtype=np.float32)
            buffers[name] = (moving, self._static[name])
        return Scene(spec, shape, camera, eye, landmarks, names, buffers)

    def _glasses(self, shape: HeadShape) -> tuple[np.ndarray, np.ndarray]:
        left, right = (shape.base[self.assets.joints[side]].mean(axis=0) for side in ("l-eye", "r-eye"))
        vertices, triangles = glasses_mesh(left, right, shape.rotation)
        corners = vertices[triangles]
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        summed = np.zeros_like(vertices)
        for corner in range(3):
            np.add.at(summed, triangles[:, corner], normal)
        summed /= np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-12)
        flat = triangles.ravel()
        static = np.zeros((len(flat), 6), np.float32)
        static[:, 1], static[:, 5] = 7.0, 1.0
        return np.concatenate([vertices[flat], summed[flat]], axis=1, dtype=np.float32), static

    def _static_attributes(self, name: str) -> np.ndarray:
        part = self.parts[name]
        base = self.assets.base if name == "body" else self.assets.proxies[name].mesh.vertices
        columns = [base[part.vertex], part.uv, self._occlusion[name][part.vertex, None]]
        return np.concatenate(columns, axis=1, dtype=np.float32)

    def _assemble(self, scene, target, rgba, truth, seen, size) -> HeadImage:
        surface, facing, motion, _ = truth
        covered = surface[..., 3] > 0
        parsing = np.where(covered, surface[..., 2], 0).round().astype(np.uint8)
        landmarks = project(scene.camera, scene.landmarks, size).astype(np.float32)
        body = covered & (facing[..., 3] > 0.5)
        small = (
            cv2.resize(rgba, (size, size), interpolation=cv2.INTER_AREA) if rgba.shape[0] != size else rgba
        )
        alpha = small[..., 3:].astype(np.float32) / 255
        backdrop = palette.background(scene.spec.background, size)
        rgb = np.clip(small[..., :3] + (1 - alpha) * backdrop, 0, 255).round().astype(np.uint8)
        flow = co_visible = None
        if seen is not None:
            flow, co_visible = _flow(surface, motion, seen, size)
        return HeadImage(
            rgb=rgb,
            alpha=small[..., 3].copy(),
            parsing=parsing,
            landmarks=landmarks,
            outline_landmarks=snap_to_outline(landmarks, parsing).astype(np.float32),
            depth=np.where(covered, surface[..., 3], np.inf).astype(np.float32),
            normals=facing[..., :3] * covered[..., None],
            uv=surface[..., :2] * body[..., None],
            body=body,
            flow=flow,
            co_visible=co_visible,
        )


def _flow(surface, motion, seen, size) -> tuple[np.ndarray, np.ndarray]:
    """Flow to the second picture, and whether the point is the nearest surface there."""
    covered, ids = surface[..., 3] > 0, surface[..., 2]
    depth = np.where(motion[..., 3] == 0, 1, motion[..., 3])
    ndc = motion[..., :2] / depth[..., None]
    place = (ndc * [0.5, -0.5] + 0.5) * size
    grid = np.stack(np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5), axis=-1)
    flow = np.where(covered[..., None], place - grid, 0).astype(np.float32)
    # The second picture's own clip depth, compared with where this point lands; w is the distance along the view.
    their_depth = np.where(seen[0][..., 3] > 0, seen[3], np.inf).astype(np.float32)
    their_id = seen[0][..., 2]
    at = place.astype(np.float32) - 0.5
    # Every one of the four pixels around must show the same surface, else the point lies on an occlusion edge; one that
    # the point hardly touches has no say, or nothing at the edge of a part could stay where it is.
    agree, corner = np.ones(covered.shape, bool), np.floor(at)
    for step in ((0, 0), (1, 0), (0, 1), (1, 1)):
        column, row = np.moveaxis((corner + step).astype(int), -1, 0)
        inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
        cell = np.clip(row, 0, size - 1), np.clip(column, 0, size - 1)
        same = inside & (np.abs(their_depth[cell] - motion[..., 3]) < 0.04) & (their_id[cell] == ids)
        share = (1 - np.abs(at - corner - step)).prod(axis=-1)
        agree &= same | (share < _TOUCHED)
    return flow, covered & agree
