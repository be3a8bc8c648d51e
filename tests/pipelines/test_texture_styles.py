"""Styles of textures: features stay where they are, colours stay within sRGB."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pipelines.texture.styles import PHOTOREAL, STYLES, in_style, stylise

DRAWN = STYLES[1:]
FILES = sorted((Path(__file__).parents[1] / "data/texture").glob("*.texture.webp"))[::4]


@pytest.fixture(scope="module")
def textures():
    """Some of those of the examination, whose skins are of all tones, some painted."""
    return [np.asarray(Image.open(file).convert("RGB")) for file in FILES]


def edges(picture):
    """How strong edges of brightness are, within a texel or two, (s, s)."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    along, across = (cv2.Sobel(grey, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    return cv2.GaussianBlur(np.hypot(along, across), (0, 0), 1.5)


def lab(picture):
    return cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)


@pytest.mark.parametrize("style", DRAWN)
def test_features_stay_in_their_places(textures, style):
    for texture in textures:
        drawn = stylise(texture, style)
        assert drawn.shape == texture.shape and drawn.dtype == np.uint8
        assert np.abs(drawn.astype(int) - texture).mean() > 4, "a style that cannot be seen"
        own = np.corrcoef(edges(texture).ravel(), edges(drawn).ravel())[0, 1]
        moved = np.corrcoef(edges(texture).ravel(), edges(np.roll(drawn, (5, 9), (0, 1))).ravel())[0, 1]
        assert own > 0.7 and own > moved + 0.2


@pytest.mark.parametrize("style", [style for style in DRAWN if style != "painting"])  # its strokes lean
def test_both_sides_of_a_face_are_drawn_alike(textures, style):
    drawn, twin = stylise(textures[0], style), stylise(textures[0][:, ::-1], style)[:, ::-1]
    assert np.abs(drawn.astype(int) - twin).mean() < 1


@pytest.mark.parametrize("style", DRAWN)
def test_hardly_a_texel_leaves_the_colours_of_srgb(textures, style):
    for seed in range(6 if style == "fantasy" else 1):
        clipped = [(stylise(texture, style, seed) % 255 == 0).any(axis=-1).mean() for texture in textures]
        assert max(clipped) < 0.05


def test_colours_are_as_strong_as_srgb_has_them_and_as_light_as_they_were():
    """A ramp of ever stronger green, whose hue fantasy turns to those of which sRGB has less."""
    ramp = np.array([[[150 - 6 * step, 150, 150 - 6 * step] for step in range(24)]], np.uint8)
    for seed in range(6):
        drawn = lab(stylise(np.repeat(ramp, 24, axis=0), "fantasy", seed))
        chroma, meant = (np.hypot(one[0, :, 1], one[0, :, 2]) for one in (drawn, lab(ramp)))
        assert (chroma[:5] > 1.15 * meant[:5] - 1).all() and chroma[5:].min() > 20
        assert np.abs(drawn[0, :, 0] - lab(ramp)[0, :, 0]).max() < 2


def test_styles_are_told_apart_by_their_colours(textures):
    def colours(style, seed=0):
        drawn = lab(stylise(textures[0], style, seed))
        return np.hypot(drawn[..., 1], drawn[..., 2]).mean(), drawn[..., 1].mean()

    plain = colours(PHOTOREAL)[0]
    assert colours("cartoon")[0] > 1.2 * plain and colours("painting")[0] > 1.1 * plain
    assert colours("sculpture")[0] < 0.5 * plain
    assert np.ptp([colours("fantasy", seed)[1] for seed in range(6)]) > 10


def test_a_size_changes_how_many_texels_a_length_has_and_not_the_look(textures):
    large = cv2.resize(textures[0], (256, 256), interpolation=cv2.INTER_CUBIC)
    for style in DRAWN:
        small, back = stylise(textures[0], style), cv2.resize(stylise(large, style), (128, 128))
        difference = cv2.GaussianBlur(small.astype(np.float32) - back, (0, 0), 3)
        assert np.abs(difference).mean() < 5


def test_seeds_choose_what_is_left_open(textures):
    for style in ("painting", "sculpture", "fantasy"):
        first, again, other = (stylise(textures[1], style, seed) for seed in (3, 3, 4))
        assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert np.array_equal(stylise(textures[1], "cartoon", 1), stylise(textures[1], "cartoon", 2))


def test_photoreal_changes_nothing_and_gives_a_texture_of_its_own(textures):
    drawn = stylise(textures[0], PHOTOREAL)
    assert np.array_equal(drawn, textures[0]) and not np.shares_memory(drawn, textures[0])
    floats = textures[0].astype(np.float32) / 255
    assert np.array_equal(in_style(floats, PHOTOREAL), floats)
    assert np.array_equal(
        in_style(floats, "cartoon"), stylise(textures[0], "cartoon").astype(np.float32) / 255
    )


def test_unknown_styles_and_other_arrays_are_refused(textures):
    with pytest.raises(ValueError, match="style 'oil': expected one of photoreal, cartoon"):
        stylise(textures[0], "oil")
    for wrong in (textures[0].astype(np.float32), textures[0][..., 0]):
        with pytest.raises(ValueError, match="expected \\(s, s, 3\\) uint8"):
            stylise(wrong, "cartoon")
