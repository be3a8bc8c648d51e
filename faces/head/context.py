"""The OpenGL side of the renderer: programs, textures, frame buffers and draw calls on EGL."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from faces.head import palette
from faces.head.assets import HeadAssets
from faces.head.camera import light_projection
from faces.head.geometry import MATERIALS, Part
from faces.head.regions import Regions
from faces.head.scene import Scene, Shading

_SHADERS = Path(__file__).parent / "shaders"
_SHADOW_SIZE = 256
_HAIR_SOLID = 0.6  # opacity from which hair writes depth
_MAX_VERTICES = 40_000


class GlContext:
    """Programs, textures and frame buffers of one renderer, grown on demand.

    Raises:
        ImportError: moderngl is not installed.
        RuntimeError: no EGL context can be made.
    """

    def __init__(
        self, assets: HeadAssets, parts: dict[str, Part], regions: Regions, textures: palette.Textures
    ) -> None:
        self._assets, self._parts, self._regions_of_skin = assets, parts, regions
        self._skin_layers = textures.skin_layers
        try:
            import moderngl
        except ImportError as error:
            raise ImportError("rendering heads needs moderngl: pip install 'mien[render]'") from error
        # One process a core is faster than llvmpipe's own threads on such small pictures.
        os.environ.setdefault("LP_NUM_THREADS", "0")
        try:
            self.gl = moderngl.create_context(standalone=True, backend="egl")  # type: ignore[arg-type]
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
        self._indices: dict[tuple, tuple] = {}
        self._frames: dict[tuple[str, int], Any] = {}
        depth = self.gl.depth_texture((_SHADOW_SIZE, _SHADOW_SIZE))
        depth.compare_func = ""
        depth.repeat_x = depth.repeat_y = False
        self._shadow_map = depth
        self._shadow_frame = self.gl.framebuffer(depth_attachment=depth)
        self._upload_textures(textures, regions)

    def _upload_textures(self, textures: palette.Textures, regions: Regions) -> None:
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

    def draw_colour(self, scene: Scene, size: int, shading: Shading) -> np.ndarray:
        """Draw the picture, (size, size, 4) uint8 premultiplied by coverage, rows from the top."""
        gl, flags = self.gl, self._flags
        ranges = self._upload(scene, scene)
        key = light_projection(np.array(scene.spec.lights.key_direction), scene.landmarks[30] + [0, 0, -1.0])
        self._draw_shadow(scene, ranges, key, shading)
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
            **palette.skin_uniforms(scene.spec, self._skin_layers, self._regions_of_skin, self._assets),
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
            self._draw_material(program, material, name, ranges)
        return np.frombuffer(frame.read(components=4), np.uint8).reshape(size, size, 4)[::-1]

    def _draw_material(self, program, material, name, ranges) -> None:
        frame = self.gl.fbo
        passes = [(0.02, 2.0, True)]
        if material == "hair":
            passes = [(_HAIR_SOLID, 2.0, True), (0.05, _HAIR_SOLID, False)]
        elif material in {"brow", "lashes"}:
            passes = [(0.02, 2.0, False)]
        for low, high, writes in passes:
            _set(program, alpha_from=low, alpha_to=high)
            frame.depth_mask = writes
            self._draw(program, name, ranges)
        frame.depth_mask = True

    def draw_truth(self, scene: Scene, other: Scene, size: int) -> tuple[np.ndarray, ...]:
        """Draw labels: surface, facing, motion (size, size, 4) and depth along the view (size, size), float32."""
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
            self._draw(program, name, ranges)
        gl.enable(flags.BLEND)
        layers = []
        for attachment in range(3):
            raw = frame.read(components=4, attachment=attachment, dtype="f4")
            layers.append(np.frombuffer(raw, np.float32).reshape(size, size, 4)[::-1])
        view_depth = self._view_depth(scene, layers[0], size)
        return *layers, view_depth

    @staticmethod
    def _view_depth(scene: Scene, surface: np.ndarray, size: int) -> np.ndarray:
        """Distance along the view (clip w) from the distance to the camera."""
        grid = (np.arange(size) + 0.5) / size * 2 - 1
        x, y = np.meshgrid(grid, -grid)
        m = scene.camera
        ray_x, ray_y = (x + m[0, 2]) / m[0, 0], (y + m[1, 2]) / m[1, 1]
        return surface[..., 3] / np.sqrt(1 + ray_x**2 + ray_y**2)

    def _draw_shadow(self, scene, ranges, key, shading) -> None:
        self._shadow_frame.use()
        self._shadow_frame.clear(depth=1.0)
        if not shading.shadows:
            return
        self.gl.enable(self._flags.DEPTH_TEST)
        self.gl.disable(self._flags.CULL_FACE)
        _set(self.shadow, key_camera=key)
        for material, name in scene.names:
            if material in {"body", "hair"}:
                self._draw(self.shadow, name, ranges)

    def _upload(self, scene: Scene, other: Scene) -> dict[str, tuple[int, int]]:
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

    def _draw(self, program, name, ranges) -> None:
        start, count = ranges[name]
        array, length = self._vertex_array(program, name, start, count)
        array.render(self._flags.TRIANGLES, vertices=length)

    def _vertex_array(self, program, name, start, count):
        key = (id(program), name, start)
        if key not in self._indices:
            part = self._parts.get(name)  # glasses are built anew for each head, a corner a vertex
            triangles = part.triangles.ravel() if part else np.arange(count, dtype=np.int32)
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
