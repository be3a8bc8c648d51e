from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from faces import vocabulary
from pipelines.texture.camera import HeadCamera
from pipelines.texture.rasterizer import rasterize, render
from pipelines.texture.unwrapping import split_from, unwrap, visibility
from tests.pipelines.texture_ellipsoid import ellipsoid, smooth_texture

SIZE = 128
LAYOUT = ellipsoid().layout(SIZE)


def view(yaw=0.0, **changes):
    return HeadCamera.portrait(ellipsoid().mean, SIZE, yaw=yaw, **changes)


def drawn(texture, camera):
    head = ellipsoid()
    return render(head.mean, head.triangles, head.uv, texture, camera).picture


def read(picture, camera, **options):
    return unwrap(picture, ellipsoid().mean, ellipsoid(), camera, LAYOUT, **options)


@pytest.mark.parametrize("yaw", [0, 30, -55])
def test_a_texture_survives_rendering_and_unwrapping(yaw):
    texture = smooth_texture(SIZE)
    partial = read(drawn(texture, view(yaw)), view(yaw))
    known = partial.weight > 0.7
    assert known.mean() > 0.06
    assert -10 * np.log10(((partial.texture - texture)[known] ** 2).mean()) > 40
    assert (partial.texture[partial.weight == 0] == 0).all()


@pytest.mark.parametrize("yaw", [15, 30, 60])
def test_a_head_turned_left_shows_the_mirror_image_of_one_turned_right(yaw):
    right = visibility(ellipsoid().mean, ellipsoid(), view(yaw), LAYOUT) > 0
    left = visibility(ellipsoid().mean, ellipsoid(), view(-yaw), LAYOUT) > 0
    mirrored = LAYOUT.mirrored(left)
    assert (right & mirrored).sum() / (right | mirrored).sum() >= 0.98
    assert (right & left).sum() / (right | left).sum() < 0.9


def test_weights_fall_with_the_slant_and_end_at_75_degrees():
    head, camera = ellipsoid(), view(0, distance=40.0)
    weight = visibility(head.mean, head, camera, LAYOUT)
    x, y, z = (head.texel_points(head.mean[None], SIZE)[0] / [0.75, 1.1, 0.9]).transpose(2, 0, 1)
    normal = np.stack([x / 0.75, y / 1.1, z / 0.9], axis=-1)
    cosine = normal[..., 2] / np.maximum(np.linalg.norm(normal, axis=-1), 1e-9)
    smooth = LAYOUT.valid & (np.abs(x) > 0.55)  # away from the nose
    assert (weight[smooth & (cosine < np.cos(np.radians(78)))] == 0).all()
    assert (weight[smooth & (cosine > np.cos(np.radians(70)))] > 0).all()
    assert (weight[smooth & (cosine > np.cos(np.radians(28)))] > 0.98).all()
    assert not weight[~LAYOUT.valid].any()


def test_what_lies_behind_the_nose_is_hidden():
    """The ball before the face hides a disc of it; without it the disc is seen."""
    head = ellipsoid()
    ball = head.mean * 0.25 + np.array([0.3, 0.3, 1.6], np.float32)
    both = SimpleNamespace(
        mean=np.concatenate([head.mean, ball]),
        triangles=np.concatenate([head.triangles, head.triangles + len(head.mean)]),
        texel_triangles=head.texel_triangles,
    )
    camera = view()
    alone, covered = visibility(head.mean, head, camera, LAYOUT), visibility(both.mean, both, camera, LAYOUT)
    lost = (alone > 0) & (covered == 0)
    pixels, _ = camera.project(head.texel_points(head.mean[None], SIZE)[0])
    centre = camera.project(np.array([0.3, 0.3, 1.6]))[0]
    distance = np.linalg.norm((pixels - centre) / [0.75, 1.1], axis=-1)
    radius = 0.25 * camera.focal / (15 - 1.6)
    assert lost[(alone > 0) & (distance < 0.8 * radius)].all()
    assert not lost[distance > 1.5 * radius].any()


def test_texels_beyond_the_frame_are_unknown():
    camera = view()
    cut = replace(camera, size=(SIZE // 2, SIZE))
    weight = visibility(ellipsoid().mean, ellipsoid(), cut, LAYOUT)
    pixels, _ = camera.project(ellipsoid().texel_points(ellipsoid().mean[None], SIZE)[0])
    assert weight[pixels[..., 0] < SIZE / 2 - 3].any()
    assert not weight[pixels[..., 0] > SIZE / 2].any()


def test_only_what_parses_as_skin_is_read_and_insides_on_request():
    camera = view()
    picture = drawn(smooth_texture(SIZE), camera)
    names = vocabulary.PARSING
    parsing = np.full((SIZE, SIZE), names.index("skin"), np.uint8)
    parsing[:40] = names.index("hair")
    parsing[50:56] = names.index("eye_g")
    parsing[60:70] = names.index("l_eye")
    parsing[90:100] = names.index("mouth")
    pixels, _ = camera.project(ellipsoid().texel_points(ellipsoid().mean[None], SIZE)[0])
    rows = np.clip(np.floor(pixels[..., 1]).astype(int), 0, SIZE - 1)
    free = read(picture, camera).weight > 0
    skin = read(picture, camera, parsing=parsing).weight > 0
    eyes = read(picture, camera, parsing=parsing, insides=("eyes",)).weight > 0
    assert free[rows < 40].any() and not skin[rows < 40].any()
    assert not skin[(rows >= 50) & (rows < 56)].any()
    assert skin[free & (rows > 72) & (rows < 88)].all()
    assert not skin[(rows >= 60) & (rows < 70)].any() and not eyes[(rows >= 90) & (rows < 100)].any()
    assert eyes[free & (rows > 61) & (rows < 68)].all()
    narrow = read(picture, camera, parsing=parsing, margin=4).weight > 0
    assert not narrow[(rows >= 70) & (rows < 73)].any() and not narrow[rows < 44].any()
    assert narrow[free & (rows > 76) & (rows < 84)].all()


def test_a_larger_photograph_gives_the_same_texture_without_aliasing():
    texture = smooth_texture(SIZE)
    camera = view(20)
    large = camera.scaled(4 * SIZE)
    picture = drawn(texture, large)
    checks = (np.indices(picture.shape[:2]).sum(0) % 2)[..., None] * 0.2 - 0.1  # finer than any texel
    partial = unwrap(
        np.clip(picture + checks, 0, 1).astype(np.float32), ellipsoid().mean, ellipsoid(), large, LAYOUT
    )
    known = partial.weight > 0.7
    assert np.abs(partial.texture - texture)[known].mean() < 0.02


def test_pictures_of_bytes_and_floats_say_the_same():
    camera = view()
    picture = np.rint(drawn(smooth_texture(SIZE), camera) * 255).astype(np.uint8)
    one, two = read(picture, camera), read(picture.astype(np.float32) / 255, camera)
    assert np.array_equal(one.texture, two.texture)


def test_seams_are_found_where_vertices_coincide():
    originals = split_from(ellipsoid().mean).reshape(-1, 65)
    index = np.arange(len(ellipsoid().mean)).reshape(-1, 65)
    assert np.array_equal(originals[:, :-1], index[:, :-1])
    assert np.array_equal(originals[:, -1], index[:, 0])


def test_other_sizes_and_unknown_insides_are_refused():
    camera, picture = view(), np.zeros((SIZE, SIZE, 3), np.uint8)
    with pytest.raises(ValueError, match="picture"):
        read(picture[:64], camera)
    with pytest.raises(ValueError, match="parsing"):
        read(picture, camera, parsing=np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="insides"):
        read(picture, camera, parsing=np.ones((SIZE, SIZE), np.uint8), insides=("nose",))


def test_the_raster_of_a_photograph_stays_small(monkeypatch):
    sides = []

    def recorded(vertices, triangles, camera, *rest, **options):
        sides.append(max(camera.size))
        return rasterize(vertices, triangles, camera, *rest, **options)

    monkeypatch.setattr("pipelines.texture.unwrapping.rasterize", recorded)
    visibility(ellipsoid().mean, ellipsoid(), view().scaled(3000), LAYOUT)
    assert sides == [512]
