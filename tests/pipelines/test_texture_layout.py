"""Layouts of textures: what they refuse, and mirror images by their maps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipelines.texture.layout import LayoutMismatch, UVLayout


def layout(size=8, **changed):
    """A symmetric toy, all of it valid."""
    x, y = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    mirror = np.stack([size - x, y], axis=-1).astype(np.float32)
    content = {
        "size": size, "valid": np.ones((size, size), bool), "mirror": mirror,
        "charts": np.ones((size, size), np.uint8), "mesh_id": "toy",
    }  # fmt: skip
    return UVLayout(**content | changed)


def test_a_layout_accepts_its_equal():
    layout().require(layout())


def test_a_rounded_mirror_map_is_the_same_layout():
    first = layout()
    first.require(replace(first, mirror=first.mirror + np.float32(1e-4)))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"mesh_id": "flame"}, "mesh_id is 'flame', expected 'toy'"),
        ({"v_down": False}, "v_down is False, expected True"),
        ({"charts": np.zeros((8, 8), np.uint8)}, "charts differs in 64 texels"),
        ({"valid": np.eye(8) == 0}, "valid differs in 8 texels"),
        ({"mirror": np.zeros((8, 8, 2), np.float32)}, "mirror differs in 64 texels"),
    ],
)
def test_another_layout_is_refused_by_what_differs(changed, named):
    with pytest.raises(LayoutMismatch, match=named):
        layout().require(layout(**changed))


def test_everything_that_differs_is_named_at_once():
    with pytest.raises(LayoutMismatch) as caught:
        layout().require(layout(size=4, mesh_id="flame"))
    assert "mesh_id" in str(caught.value) and "size is 4, expected 8" in str(caught.value)


def test_masks_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"valid \(4, 4\): expected \(8, 8\)"):
        layout(valid=np.ones((4, 4), bool))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, bool])
def test_arrays_are_mirrored(dtype):
    texture = (np.random.default_rng(0).random((8, 8, 3)) * 200).astype(dtype)
    mirrored = layout().mirrored(texture)
    assert mirrored.dtype == dtype
    np.testing.assert_array_equal(mirrored, texture[:, ::-1])
    np.testing.assert_array_equal(layout().mirrored(texture[..., 0]), texture[:, ::-1, 0])


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 3, 8, 8), (2, 2, 1, 8, 8)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tensors_are_mirrored(shape, dtype):
    texture = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    mirrored = layout().mirrored(texture)
    assert mirrored.dtype == dtype and mirrored.shape == shape
    torch.testing.assert_close(
        mirrored, texture.flip(-1), atol=1e-2 if dtype == torch.bfloat16 else 1e-5, rtol=0
    )


def test_arrays_and_tensors_agree_between_texels():
    places = layout().mirror + np.float32([0.3, -0.4])
    uneven = layout(mirror=places)
    texture = np.random.default_rng(1).random((8, 8, 2)).astype(np.float32)
    tensor = uneven.mirrored(torch.from_numpy(texture).permute(2, 0, 1)).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(uneven.mirrored(texture), tensor, atol=0.02)  # cv2 counts in 32nds of a texel
    assert np.abs(tensor - texture[:, ::-1]).max() > 0.1


@pytest.mark.parametrize("texture", [np.zeros((4, 4, 3)), torch.zeros(3, 4, 4), torch.zeros(8, 8)])
def test_textures_of_another_size_are_refused(texture):
    with pytest.raises(LayoutMismatch, match="expected"):
        layout().mirrored(texture)
