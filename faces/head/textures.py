"""Exact textures of rendered heads in the layout of the template: the skin shader, drawn texel by texel.

What a picture of the head shows of a texel and the texture itself come from one shader and one set of numbers; brows
and eyeballs are painted on, hair, lashes and glasses are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import cv2
import numpy as np

from faces.head import palette
from faces.head.chart import HeadChart, cover
from faces.head.context import _set
from faces.head.geometry import MATERIALS, Part
from faces.head.renderer import HeadRenderer
from faces.head.sampler import mark_vertices
from faces.head.spec import HeadSpec, Mark

MOST_MARKS = 8
"""Marks that the shader draws."""
_SUPERSAMPLING = 3
_MARK_TEXELS = 256
"""Texels of a side at which a vertex is looked for: a smaller one would hold no mark."""
_FROM = 0.02
"""Opacity below which a brow is not drawn, as in pictures."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """Points to draw: position, base position and texture place of each."""

    array: object  # moderngl.VertexArray
    count: int


class TexturePainter:
    """Draws textures of one size; keeps what all heads share.

    Args:
        renderer: of the heads.
        size: texels of a side.
    """

    def __init__(self, renderer: HeadRenderer, size: int) -> None:
        if size < 1:
            raise ValueError(f"size {size}: expected at least 1 texel")
        self._renderer, self._size, self._samples = renderer, size, size * _SUPERSAMPLING
        self._chart = _chart(renderer)
        line = (np.arange(self._samples, dtype=np.float32) + 0.5) / self._samples * 2 - 1
        self._places = np.stack([*np.meshgrid(line, -line), np.zeros((self._samples,) * 2)], axis=-1)
        hits, chart = self._chart.texels(self._samples), self._chart
        body = np.where(chart.is_eye[hits.triangle], -1, chart.part_triangle[hits.triangle])
        eyes = np.where(chart.is_eye[hits.triangle], chart.part_triangle[hits.triangle], -1)
        with renderer._gl.gl:
            self._surface = {
                "body": self._layer(renderer.parts["body"], body, hits.weights, renderer.assets.base),
                "eyes": self._layer(renderer.parts["eyes"], eyes, hits.weights, chart.mean),
            }
        self._brows: dict[str, _Layer] = {}

    def draw(self, spec: HeadSpec) -> np.ndarray:
        """Texture (size, size, 3) uint8 of a spec, rows from the top; pose, camera and lights play no part."""
        with self._renderer._gl.gl:
            layers = {**self._surface, "brow": self._brow(spec.identity.brow_style)}
            samples = self._draw(spec, layers)
        return cv2.resize(samples, (self._size, self._size), interpolation=cv2.INTER_AREA)

    def _draw(self, spec: HeadSpec, layers: dict[str, _Layer]) -> np.ndarray:
        context, size = self._renderer._gl, self._samples
        gl, flags, program = context.gl, context._flags, context.colour
        frame = context._frame("colour", size)
        frame.use()
        frame.clear(0, 0, 0, 0, depth=1.0)
        gl.disable(flags.DEPTH_TEST | flags.CULL_FACE)
        gl.enable(flags.BLEND)
        gl.blend_func = (flags.ONE, flags.ONE_MINUS_SRC_ALPHA)
        context._skins.use(0)
        context._masks.use(1)
        flat = np.eye(4, dtype=np.float32)
        _set(program, skins=0, masks=1, texture_map=2, shadow_map=3, camera=flat, key_camera=flat)
        _set(program, albedo_only=True, alpha_from=_FROM, alpha_to=2.0)
        skin = palette.skin_uniforms(
            spec, context._skin_layers, self._renderer.regions, self._renderer.assets
        )
        _set(program, **skin)
        for material, layer in layers.items():
            _set(program, material=MATERIALS[material], **palette.material_uniforms(material, spec))
            picture = palette.picture_name(material, spec.identity.brow_style, spec)
            if picture:
                context._pictures[picture].use(2)
            layer.array.render(flags.POINTS, vertices=layer.count)  # type: ignore[attr-defined]
        pixels = np.frombuffer(frame.read(components=4), np.uint8).reshape(size, size, 4)
        return np.ascontiguousarray(pixels[::-1, :, :3])

    def _brow(self, style: str) -> _Layer:
        if style not in self._brows:
            proxy, part = self._renderer.assets.proxies[style], self._renderer.parts[style]
            vertices = proxy.fit(self._chart.mean[: len(self._renderer.assets.base)])
            places, radius = self._chart.place(vertices)
            size = self._samples
            triangle, weights = cover(places * size, part.corners, radius, size, size)
            self._brows[style] = self._layer(part, triangle, weights, vertices)
        return self._brows[style]

    def _layer(self, part: Part, triangle: np.ndarray, weights: np.ndarray, base: np.ndarray) -> _Layer:
        seen = triangle >= 0
        corners, shares = part.triangles[triangle[seen]], weights[seen][..., None]
        columns = [
            self._places[seen],
            (base[part.vertex[corners]] * shares).sum(axis=1),
            (part.uv[corners] * shares).sum(axis=1),
        ]
        context = self._renderer._gl
        buffer = context.gl.buffer(np.concatenate(columns, axis=1, dtype=np.float32).tobytes())
        content = [(buffer, "3f 3f 2f", "in_position", "in_base", "in_uv")]
        array = context.gl.vertex_array(context.colour, content, skip_errors=True)
        return _Layer(array, int(seen.sum()))


_charts: WeakKeyDictionary[HeadRenderer, HeadChart] = WeakKeyDictionary()
_painters: WeakKeyDictionary[HeadRenderer, dict[int, TexturePainter]] = WeakKeyDictionary()


def draw_texture(renderer: HeadRenderer, spec: HeadSpec, size: int) -> np.ndarray:
    """Draw the albedo of a head in the layout of the template.

    Args:
        renderer: whose assets and shader are used; what its heads share is kept for the next call.
        spec: of the head; skin, marks, beard, makeup, brows and eyes show, hair, lashes and glasses do not.
        size: texels of a side.

    Returns:
        (size, size, 3) uint8 sRGB, rows from the top.

    Raises:
        ValueError: a size below 1.
    """
    painters = _painters.setdefault(renderer, {})
    if size not in painters:
        painters[size] = TexturePainter(renderer, size)
    return painters[size].draw(spec)


def skin_texels(renderer: HeadRenderer, size: int) -> np.ndarray:
    """How much of each texel is skin and no eyeball, (size, size) float32 in 0..1."""
    chart, samples = _chart(renderer), size * _SUPERSAMPLING
    eyes = chart.is_eye[chart.texels(samples).triangle].astype(np.float32)
    return 1 - cv2.resize(eyes, (size, size), interpolation=cv2.INTER_AREA)


def visible_mark_vertices(renderer: HeadRenderer) -> np.ndarray:
    """Base vertices that a mark may sit on and be seen: `mark_vertices` without the cavity of the mouth."""
    assets, chart = renderer.assets, _chart(renderer)
    seen = np.unique(chart.triangles[np.unique(chart.texels(_MARK_TEXELS).triangle)])
    allowed = mark_vertices(assets.base, assets.kept, assets.body.faces)
    return np.intersect1d(allowed, assets.kept[seen[seen < len(assets.base)]])


def with_marks(spec: HeadSpec, rng: np.random.Generator, count: int, vertices: np.ndarray) -> HeadSpec:
    """Give a head more moles and scars, each on one side of the face alone, larger ones than portraits have.

    Args:
        spec: whose marks are kept.
        rng: source of every choice.
        count: marks afterwards; a head that has more keeps them.
        vertices: to choose from, as `visible_mark_vertices` returns them.

    Raises:
        ValueError: more than the shader draws.
    """
    if count > MOST_MARKS:
        raise ValueError(f"count {count}: expected at most {MOST_MARKS} marks")
    marks = list(spec.identity.marks)
    while len(marks) < count:
        scar = rng.random() < 0.4
        marks.append(
            Mark(
                kind="scar" if scar else "mole",
                vertex=int(rng.choice(vertices)),
                radius=float(rng.uniform(0.08, 0.15) if scar else rng.uniform(0.025, 0.06)),
                angle=float(rng.uniform(0, np.pi)),
                strength=float(rng.uniform(0.6, 0.95)),
            )
        )
    identity = spec.identity.model_copy(update={"marks": tuple(marks)})
    return spec.model_copy(update={"identity": identity})


def _chart(renderer: HeadRenderer) -> HeadChart:
    if renderer not in _charts:
        _charts[renderer] = HeadChart(renderer.model, renderer.parts)
    return _charts[renderer]
