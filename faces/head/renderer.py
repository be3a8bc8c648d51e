"""Renders a `HeadSpec` with exact ground truth: moderngl on EGL, software or GPU.

The picture is drawn at `supersampling` times its size and averaged down; labels are drawn at its own size.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from faces.head import palette
from faces.head.assets import HeadAssets, load_assets
from faces.head.camera import light_projection, project, projection
from faces.head.expression import mouth_is_open
from faces.head.geometry import MATERIALS, Part, build_parts, glasses_mesh
from faces.head.landmarks import landmark_vertices, snap_to_outline
from faces.head.morph import HeadShape, MorphModel
from faces.head.occlusion import baked_occlusion
from faces.head.regions import Regions, build_regions
from faces.head.spec import HeadSpec

_SHADERS = Path(__file__).parent / "shaders"
_SHADOW_SIZE = 256
_HAIR_SOLID = 0.6  # opacity from which hair writes depth
_MAX_VERTICES = 40_000


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


@dataclass(frozen=True, slots=True)
class Shading:
    """How the renderer shades: the second look of the evaluation uses other settings than training."""

    supersampling: int = 2
    albedo_only: bool = False
    diffuse_only: bool = False
    shadows: bool = True


@dataclass(slots=True)
class _Scene:
    """Vertex arrays of one spec, ready to upload."""

    spec: HeadSpec
    shape: HeadShape
    camera: np.ndarray
    eye: np.ndarray
    landmarks: np.ndarray
    names: list[tuple[str, str]]  # (material, part name)
    buffers: dict[str, tuple[np.ndarray, np.ndarray]]  # part -> (positions and normals (n, 6), static (n, 6))


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
        self._gl = _Context()
        self._textures = palette.load_textures(self.assets)
        self._gl.upload_textures(self._textures, self.regions)
        self._static = {name: self._static_attributes(name) for name in self.parts}

    def render(
        self, spec: HeadSpec, size: int, shading: Shading = Shading(), other: HeadSpec | None = None
    ) -> HeadImage:  # noqa: B008
        """Render one spec at size x size pixels; with `other` (the same identity and look) also the flow to it."""
        # Both states of a pair show the same meshes, so that every point of one exists in the other.
        open_mouth = any(mouth_is_open(one.state.action_units) for one in (spec, other) if one is not None)
        scene = self._scene(spec, open_mouth)
        target = self._scene(other, open_mouth) if other is not None else scene
        if other is not None and [name for _, name in target.names] != [name for _, name in scene.names]:
            raise ValueError("flow needs two specs of one head: the same identity and the same look")
        rgba = self._gl.draw_colour(self, scene, size * shading.supersampling, shading)
        truth = self._gl.draw_truth(self, scene, target, size)
        seen = self._gl.draw_truth(self, target, scene, size) if other is not None else None
        return self._assemble(scene, target, rgba, truth, seen, size)

    def _scene(self, spec: HeadSpec, open_mouth: bool) -> _Scene:
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
        return _Scene(spec, shape, camera, eye, landmarks, names, buffers)

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
    # Every one of the four pixels around must show the same surface, else the point lies on an occlusion edge.
    agree = np.ones(covered.shape, bool)
    for dx in (0, 1):
        for dy in (0, 1):
            column, row = np.floor(at[..., 0]).astype(int) + dx, np.floor(at[..., 1]).astype(int) + dy
            inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
            cell = np.clip(row, 0, size - 1), np.clip(column, 0, size - 1)
            agree &= inside & (np.abs(their_depth[cell] - motion[..., 3]) < 0.04) & (their_id[cell] == ids)
    return flow, covered & agree


class _Context:
    """The OpenGL side: programs, textures and frame buffers, grown on demand."""

    def __init__(self) -> None:
        try:
            import moderngl
        except ImportError as error:
            raise ImportError("rendering heads needs moderngl: pip install 'mien[render]'") from error
        # One process a core is faster than llvmpipe's own threads on such small pictures.
        os.environ.setdefault("LP_NUM_THREADS", "0")
        try:
            self.gl = moderngl.create_context(standalone=True, backend="egl")
        except Exception as error:  # moderngl raises plain Exception for every EGL failure
            raise RuntimeError(
                f"no EGL context ({error}); on Debian: apt-get install libegl1 libgl1-mesa-dri"
            ) from error
        self._flags = moderngl
        read = {name: (_SHADERS / name).read_text(encoding="utf-8") for name in os.listdir(_SHADERS)}
        program = self.gl.program
        self.colour = program(vertex_shader=read["head.vert"], fragment_shader=read["colour.frag"])
        self.truth = program(vertex_shader=read["head.vert"], fragment_shader=read["truth.frag"])
        self.shadow = program(vertex_shader=read["shadow.vert"], fragment_shader=read["shadow.frag"])
        self._moving = self.gl.buffer(reserve=_MAX_VERTICES * 24, dynamic=True)
        self._other = self.gl.buffer(reserve=_MAX_VERTICES * 24, dynamic=True)
        self._fixed = self.gl.buffer(reserve=_MAX_VERTICES * 24, dynamic=True)
        self._indices: dict[str, object] = {}
        self._frames: dict[tuple[str, int], tuple] = {}
        depth = self.gl.depth_texture((_SHADOW_SIZE, _SHADOW_SIZE))
        depth.compare_func = ""
        depth.repeat_x = depth.repeat_y = False
        self._shadow_map = depth
        self._shadow_frame = self.gl.framebuffer(depth_attachment=depth)

    def upload_textures(self, textures: palette.Textures, regions: Regions) -> None:
        layers, height, width, _ = textures.skins.shape
        self._skins = self.gl.texture_array((width, height, layers), 4, textures.skins.tobytes())
        self._skins.build_mipmaps()
        masks = np.stack([regions.makeup, regions.skin])
        self._masks = self.gl.texture_array((masks.shape[2], masks.shape[1], 2), 4, masks.tobytes())
        self._regions = self.gl.texture(regions.parsing.shape[::-1], 1, regions.parsing.tobytes())
        self._regions.filter = (self._flags.NEAREST, self._flags.NEAREST)
        self._pictures = {}
        for name, picture in textures.pictures.items():
            texture = self.gl.texture(picture.shape[1::-1], 4, picture.tobytes())
            texture.build_mipmaps()
            self._pictures[name] = texture

    def draw_colour(self, renderer: HeadRenderer, scene: _Scene, size: int, shading: Shading) -> np.ndarray:
        gl, flags = self.gl, self._flags
        ranges = self._upload(scene, scene)
        key = light_projection(np.array(scene.spec.lights.key_direction), scene.landmarks[30] + [0, 0, -1.0])
        self._draw_shadow(renderer, scene, ranges, key, shading)
        frame = self._frame("colour", size)
        frame.use()
        frame.clear(0, 0, 0, 0, depth=1.0)
        gl.enable(flags.DEPTH_TEST | flags.BLEND)
        gl.blend_func = (flags.ONE, flags.ONE_MINUS_SRC_ALPHA)
        program = self.colour
        for unit, texture in enumerate((self._skins, self._masks)):
            texture.use(unit)
        self._shadow_map.use(3)
        _set(program, skins=0, masks=1, texture_map=2, shadow_map=3)
        _set(program, camera=scene.camera, key_camera=key, other_camera=scene.camera, eye=scene.eye)
        _set(program, albedo_only=shading.albedo_only, diffuse_only=shading.diffuse_only)
        _set(program, mouth_depth=float(scene.landmarks[[51, 57], 2].mean()))
        _set(
            program,
            **palette.skin_uniforms(
                scene.spec, self._skin_layers(renderer), renderer.regions, renderer.assets
            ),
        )
        _set(program, **palette.light_uniforms(scene.spec.lights))
        for material, name in scene.names:
            _set(program, material=MATERIALS[material], **palette.material_uniforms(material, scene.spec))
            picture = palette.picture_name(material, name, scene.spec)
            if picture:
                self._pictures[picture].use(2)
            if material == "body":
                gl.enable(flags.CULL_FACE)
            else:
                gl.disable(flags.CULL_FACE)
            self._draw_material(renderer, program, material, name, ranges)
        return np.frombuffer(frame.read(components=4), np.uint8).reshape(size, size, 4)[::-1]

    def _draw_material(self, renderer, program, material, name, ranges) -> None:
        frame = self.gl.fbo
        passes = [(0.02, 2.0, True)]
        if material == "hair":
            passes = [(_HAIR_SOLID, 2.0, True), (0.05, _HAIR_SOLID, False)]
        elif material in {"brow", "lashes"}:
            passes = [(0.02, 2.0, False)]
        for low, high, writes in passes:
            _set(program, alpha_from=low, alpha_to=high)
            frame.depth_mask = writes
            self._draw(renderer, program, name, ranges)
        frame.depth_mask = True

    def draw_truth(
        self, renderer: HeadRenderer, scene: _Scene, other: _Scene, size: int
    ) -> tuple[np.ndarray, ...]:
        gl, flags = self.gl, self._flags
        ranges = self._upload(scene, other)
        frame = self._frame("truth", size)
        frame.use()
        frame.clear(0, 0, 0, 0, depth=1.0)
        gl.enable(flags.DEPTH_TEST)
        gl.disable(flags.BLEND)
        program = self.truth
        self._regions.use(4)
        _set(program, regions=4, texture_map=2, camera=scene.camera, other_camera=other.camera, eye=scene.eye)
        for material, name in scene.names:
            if material == "lashes":
                continue
            picture = palette.picture_name(material, name, scene.spec)
            if picture:
                self._pictures[picture].use(2)
            if material == "body":
                gl.enable(flags.CULL_FACE)
            else:
                gl.disable(flags.CULL_FACE)
            _set(program, material=MATERIALS[material])
            self._draw(renderer, program, name, ranges)
        gl.enable(flags.BLEND)
        layers = []
        for attachment in range(3):
            raw = frame.read(components=4, attachment=attachment, dtype="f4")
            layers.append(np.frombuffer(raw, np.float32).reshape(size, size, 4)[::-1])
        view_depth = self._view_depth(scene, layers[0], size)
        return *layers, view_depth

    @staticmethod
    def _view_depth(scene: _Scene, surface: np.ndarray, size: int) -> np.ndarray:
        """Distance along the view (clip w) from the distance to the camera."""
        grid = (np.arange(size) + 0.5) / size * 2 - 1
        x, y = np.meshgrid(grid, -grid)
        m = scene.camera
        ray_x, ray_y = (x + m[0, 2]) / m[0, 0], (y + m[1, 2]) / m[1, 1]
        return surface[..., 3] / np.sqrt(1 + ray_x**2 + ray_y**2)

    def _draw_shadow(self, renderer, scene, ranges, key, shading) -> None:
        self._shadow_frame.use()
        self._shadow_frame.clear(depth=1.0)
        if not shading.shadows:
            return
        self.gl.enable(self._flags.DEPTH_TEST)
        self.gl.disable(self._flags.CULL_FACE)
        _set(self.shadow, key_camera=key)
        for material, name in scene.names:
            if material in {"body", "hair"}:
                self._draw(renderer, self.shadow, name, ranges)

    def _upload(self, scene: _Scene, other: _Scene) -> dict[str, tuple[int, int]]:
        ranges, start = {}, 0
        moving, fixed, target = [], [], []
        for _, name in scene.names:
            positions, static = scene.buffers[name]
            ranges[name] = (start, len(positions))
            start += len(positions)
            moving.append(positions)
            fixed.append(static)
            target.append(other.buffers[name][0])
        if start > _MAX_VERTICES:
            raise ValueError(f"a head of {start} vertices exceeds the buffer of {_MAX_VERTICES}")
        self._moving.write(np.concatenate(moving))
        self._fixed.write(np.concatenate(fixed))
        self._other.write(np.concatenate(target))
        return ranges

    def _draw(self, renderer, program, name, ranges) -> None:
        start, count = ranges[name]
        array, length = self._vertex_array(renderer, program, name, start, count)
        array.render(self._flags.TRIANGLES, vertices=length)

    def _vertex_array(self, renderer, program, name, start, count):
        key = (id(program), name, start)
        if key not in self._indices:
            if name == "glasses":
                triangles = np.arange(count, dtype=np.int32)
            else:
                triangles = renderer.parts[name].triangles.ravel()
            index = self.gl.buffer((triangles + start).astype(np.int32).tobytes())
            if program is self.shadow:
                content = [(self._moving, "3f 12x", "in_position")]
            elif program is self.truth:
                content = [
                    (self._moving, "3f 3f", "in_position", "in_normal"),
                    (self._fixed, "3f 2f 4x", "in_base", "in_uv"),
                    (self._other, "3f 12x", "in_other"),
                ]
            else:
                content = [
                    (self._moving, "3f 3f", "in_position", "in_normal"),
                    (self._fixed, "3f 2f 1f", "in_base", "in_uv", "in_occlusion"),
                ]
            array = self.gl.vertex_array(program, content, index, skip_errors=True)
            self._indices[key] = (array, len(triangles))
        return self._indices[key]

    def _frame(self, kind: str, size: int):
        if (kind, size) not in self._frames:
            count, dtype = (1, "f1") if kind == "colour" else (3, "f4")
            colours = [self.gl.texture((size, size), 4, dtype=dtype) for _ in range(count)]
            self._frames[kind, size] = self.gl.framebuffer(colours, self.gl.depth_renderbuffer((size, size)))
        return self._frames[kind, size]

    @staticmethod
    def _skin_layers(renderer: HeadRenderer) -> dict[str, int]:
        return renderer._textures.skin_layers


def _set(program, **uniforms) -> None:
    """Set uniforms by name; one that the compiler removed is skipped."""
    for name, value in uniforms.items():
        member = program.get(name, None)
        if member is None:
            continue
        if isinstance(value, np.ndarray):
            array = value.T if name.endswith("camera") else value  # OpenGL reads matrices by column
            member.write(np.ascontiguousarray(array, np.float32).tobytes())
        else:
            member.value = value
