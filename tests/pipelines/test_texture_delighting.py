"""Light that is known is found on textures of a manifold, and taken off."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines.texture.delighting import delight, harmonics
from pipelines.texture.manifold import TextureManifold
from pipelines.texture.unwrapping import texel_normals
from tests.pipelines.texture_components import SIZE, toy_template, toy_textures
from tests.pipelines.texture_ellipsoid import ellipsoid

WHITE = (1.0, 0, 0, 0, 0, 0, 0, 0, 0)
SIDE = (1.0, 0.25, 0.1, -0.1, 0, 0.03, 0, 0.02, -0.03)
"""Light from one side, as coefficients of harmonics."""


@pytest.fixture(scope="module")
def manifold():
    return TextureManifold.from_textures(0.5 * toy_textures(12), 6, size=SIZE)


@pytest.fixture(scope="module")
def normals():
    drawn = texel_normals(ellipsoid().mean, toy_template(), SIZE)
    return torch.from_numpy(drawn).movedim(-1, 0)[None]


@pytest.fixture(scope="module")
def weight(normals):
    """What a camera in front sees."""
    return (normals[:, 2:] > 0.1).float()


@pytest.fixture(scope="module")
def bare(manifold):
    """A texture of the manifold."""
    return manifold.decode(torch.tensor([[0.8, -0.5, 0.6, -0.3, 0.4, 0.2]]), SIZE)


def shaded(texture, normals, coefficients):
    """The texture in light, and how much of its encoded values the light leaves, per channel."""
    shading = torch.einsum("ck,nkyx->ncyx", torch.tensor(coefficients), harmonics(normals))
    return (texture / 2 + 0.5) * shading * 2 - 1, shading


def levelled(shading, weight):
    """Shading of what is seen, by its mean: a dim light and a dark skin look alike."""
    return shading / ((shading * weight).sum(dim=(2, 3), keepdim=True) / weight.sum())


def test_light_is_found_to_within_a_few_percent(manifold, normals, weight, bare):
    lit, shading = shaded(bare, normals, [SIDE] * 3)
    assert (shading * weight).max() / shading[weight.expand_as(shading) > 0].min() > 1.4
    found = delight(lit, weight, normals, manifold)
    seen = weight.expand_as(shading) > 0
    ratio = (levelled(found.shading, weight) / levelled(shading, weight))[seen]
    assert (ratio - 1).abs().mean() < 0.02 and (ratio - 1).abs().max() < 0.1
    before, after = ((one - bare)[seen].square().mean() for one in (lit, found.known))
    assert after < before / 10


def test_channels_are_lit_apart(manifold, normals, weight, bare):
    """A warm light from the left is not taken for the skin's colour on that side."""
    coefficients = [SIDE, WHITE, (1.0, -0.2, *WHITE[2:])]
    lit, shading = shaded(bare, normals, coefficients)
    found = delight(lit, weight, normals, manifold).shading
    for channel in range(3):
        pair = (levelled(one, weight)[:, channel : channel + 1][weight > 0] for one in (found, shading))
        a, b = pair
        assert (a / b - 1).abs().mean() < 0.03
    assert not torch.allclose(found[:, 0], found[:, 2], atol=0.1)


def test_white_light_from_everywhere_changes_little(manifold, normals, weight, bare):
    found = delight(bare, weight, normals, manifold)
    assert (found.shading - 1)[weight.expand_as(bare) > 0].abs().max() < 0.05
    assert (found.known - bare)[weight.expand_as(bare) > 0].abs().max() < 0.05


def test_what_is_hidden_does_not_matter(manifold, normals, weight, bare):
    lit, _ = shaded(bare, normals, [SIDE] * 3)
    junk = torch.where(weight > 0, lit, torch.nan)
    one, other = (delight(given, weight, normals, manifold).shading for given in (lit, junk))
    assert torch.equal(one, other)


def test_nothing_known_gives_white_light_and_no_nan(manifold, normals, weight, bare):
    known = torch.cat([torch.zeros_like(bare), bare])
    weights = torch.cat([torch.zeros_like(weight), weight])
    found = delight(known, weights, normals.expand(2, -1, -1, -1), manifold)
    assert found.known.isfinite().all() and found.shading.isfinite().all()
    assert torch.allclose(found.shading[0], torch.ones(()), atol=1e-4)
    alone = delight(bare, weight, normals, manifold)
    assert torch.allclose(found.shading[1], alone.shading[0], atol=1e-4), "textures are lit one by one"


def test_harmonics_of_a_sphere_are_orthogonal():
    points = torch.nn.functional.normalize(
        torch.randn(1, 3, 200, 200, generator=torch.Generator().manual_seed(0)), dim=1
    )
    basis = harmonics(points).flatten(2)[0]
    products = basis @ basis.T / basis.shape[1]
    scale = products.diagonal().sqrt()
    assert ((products / scale / scale[:, None]) - torch.eye(9)).abs().max() < 0.03


def test_normals_of_texels_point_outwards_and_mirror():
    head, template = ellipsoid(), toy_template()
    found = texel_normals(head.mean, template, SIZE)
    ids, _ = template.texel_triangles(SIZE)
    points = head.texel_points(head.mean[None], SIZE)[0]
    inside = ids >= 0
    assert np.allclose(np.linalg.norm(found[inside], axis=-1), 1, atol=1e-5)
    assert ((found * points).sum(axis=-1)[inside] > 0).all()
    assert (found[~inside] == 0).all()
    both = inside & inside[:, ::-1]
    assert np.abs(found[:, ::-1] * [-1, 1, 1] - found)[both].mean() < 0.03
