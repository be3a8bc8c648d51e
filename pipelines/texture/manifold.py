"""What textures of heads have in common: their mean and the few directions in which they differ most.

The second stage of AvatarTex (arXiv:2511.06721) brings a completed texture onto the manifold of a trained generator,
for the structure and symmetry of the layout. Here the manifold is linear, so that the nearest texture of it to the
known texels has a closed form: probabilistic principal components with missing values (Tipping and Bishop 1999,
"Probabilistic Principal Component Analysis").
"""

from __future__ import annotations

import numpy as np
import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn import functional

from weights.quantized import to_int8

_LEAST_NOISE = 1e-3


class TextureManifold(ModelMixin, ConfigMixin):
    """Textures as a mean plus components. Computes in float32 or better, whatever type it is stored in.

    Args:
        component_count: K.
        size: texels m of a side of the components.
        mean_size: texels M of a side of the mean, which may be finer than the components.

    Attributes:
        mean: (3, M, M) in [-1, 1].
        codes: (K, 3, m, m) int8, the components in units of `scales`: half the size of fp16, and as good.
        scales: (K,).
        stds: (K,) standard deviations over textures of the coordinates along the components.
        noise: () standard deviation of a value of what components leave over.
    """

    @register_to_config
    def __init__(self, component_count: int, size: int = 64, mean_size: int = 128) -> None:
        super().__init__()

        def fixed(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.zeros(shape), requires_grad=False)

        self.mean = fixed(3, mean_size, mean_size)
        self.register_buffer("codes", torch.zeros(component_count, 3, size, size, dtype=torch.int8))
        self.scales = fixed(component_count)
        self.stds = fixed(component_count)
        self.noise = fixed()

    @classmethod
    def from_textures(
        cls, textures: np.ndarray | torch.Tensor, components: int, *, size: int = 64
    ) -> TextureManifold:
        """Find the mean and the components of complete textures.

        Args:
            textures: (n, 3, s, s) in [-1, 1], the margins of the charts filled.
            components: K, fewer than textures.
            size: texels of a side of the components, at most s.

        Raises:
            ValueError: no such textures, or too few.
        """
        given = torch.as_tensor(textures)
        if given.ndim != 4 or given.shape[1] != 3 or given.shape[2] != given.shape[3]:
            raise ValueError(f"textures {tuple(given.shape)}: expected (n, 3, s, s)")
        if not 0 < components < len(given) or size > given.shape[-1]:
            raise ValueError(
                f"{components} components of {size} texels: expected fewer than the {len(given)} textures, and at "
                f"most their {given.shape[-1]} texels"
            )
        rows = torch.cat([_resized(part.float(), size) for part in given.split(64)]).flatten(1).double()
        rows = rows - rows.mean(dim=0)
        # By the matrix of their products, which is far smaller than that of values.
        powers, vectors = torch.linalg.eigh(rows @ rows.T)
        powers, vectors = powers.flip(0)[:components].clamp(min=1e-12), vectors.flip(1)[:, :components]
        found = (rows.T @ vectors) / powers.sqrt()
        left = (rows.square().sum() - powers.sum()).clamp(min=0) / rows.numel()
        model = cls(component_count=components, size=size, mean_size=given.shape[-1])
        codes, scales = to_int8(found.T)
        model.load_state_dict(
            {
                "mean": _mean(given),
                "codes": codes.reshape(components, 3, size, size),
                "scales": scales.float(),
                "stds": (powers / (len(rows) - 1)).sqrt().float(),
                "noise": left.sqrt().float(),
            }
        )
        return model

    @property
    def components(self) -> torch.Tensor:
        """(K, 3, m, m) float32, orthonormal but for their rounding."""
        return self.codes.float() * self.scales.float().view(-1, 1, 1, 1)

    @property
    def unit(self) -> float:
        """The noise, in which the denoiser counts what a texture has beside its components."""
        return max(float(self.noise), _LEAST_NOISE)

    def mean_texture(self, size: int) -> torch.Tensor:
        """The mean of textures, (3, size, size) float32 in [-1, 1]."""
        return _resized(self.mean.float()[None], size)[0]

    def encode(self, texture: torch.Tensor) -> torch.Tensor:
        """Coordinates of complete textures.

        Args:
            texture: (n, 3, s, s) in [-1, 1].

        Returns:
            (n, K) float32, about N(0, 1) over textures.
        """
        size = self.config.size
        rest = _resized(texture.float(), size) - self.mean_texture(size)
        # Half the precision of the components is no reason to divide by nothing.
        return rest.flatten(1) @ self.components.flatten(1).T / self.stds.float().clamp(min=1e-4)

    def decode(self, latents: torch.Tensor, size: int) -> torch.Tensor:
        """Textures (n, 3, size, size) float32, about in [-1, 1], of coordinates (n, K)."""
        return self.mean_texture(size) + self.offset(latents, size)

    def offset(self, latents: torch.Tensor, size: int) -> torch.Tensor:
        """What coordinates (n, K) add to the mean, (n, 3, size, size) float32."""
        scaled = latents.float() * self.stds.float()
        return _resized(torch.einsum("nk,kcyx->ncyx", scaled, self.components), size)

    def fit(self, texture: torch.Tensor, weight: torch.Tensor, *, prior: float = 50.0) -> torch.Tensor:
        """The most likely coordinates given the known texels.

        Least squares of the known values in units of `noise`, plus the squares of the coordinates.

        Args:
            texture: (n, 3, s, s) in [-1, 1]; what it holds where the weight is 0 does not matter.
            weight: (n, 1, s, s) from 0 on, how much a texel counts.
            prior: how much the coordinates' squares count; above 1 nearer to the mean, as neighbouring texels are
                not independent.

        Returns:
            (n, K) float32; zeros for a texture of which nothing is known.

        Raises:
            ValueError: a prior that is not above 0, without which coordinates would not be determined.
        """
        if not prior > 0:
            raise ValueError(f"prior {prior}: expected above 0")
        size = self.config.size
        share = _resized(weight.float(), size)
        shown = _resized(torch.where(weight > 0, texture.float() * weight, 0), size)
        rest = torch.where(share > 0, shown / share.clamp(min=1e-6) - self.mean_texture(size), 0)

        # In double precision: the largest component counts a million times what the smallest does.
        counts = share.expand_as(rest).flatten(1).cpu().double() / self.unit**2
        basis = (self.components.flatten(1) * self.stds.float()[:, None]).cpu().double()
        normal = torch.stack([(basis * row) @ basis.T for row in counts])
        normal = normal + prior * torch.eye(len(basis), dtype=torch.float64)
        right = (counts * rest.flatten(1).cpu().double()) @ basis.T
        # It is symmetric and positive; MKL's general solver gives up on large batches of such.
        found = torch.cholesky_solve(right[..., None], torch.linalg.cholesky(normal))
        return found[..., 0].to(texture.device, torch.float32)


def _mean(textures: torch.Tensor) -> torch.Tensor:
    """(3, s, s) float32, without a copy of all."""
    return torch.stack([part.float().sum(dim=0) for part in textures.split(64)]).sum(dim=0) / len(textures)


def _resized(maps: torch.Tensor, size: int) -> torch.Tensor:
    """Bring maps (n, c, s, s) to another size: means of texels that become one, else linearly between them."""
    if maps.shape[-1] == size:
        return maps
    if maps.shape[-1] > size:
        return functional.interpolate(maps, size=(size, size), mode="area")
    return functional.interpolate(maps, size=(size, size), mode="bilinear", align_corners=False)
