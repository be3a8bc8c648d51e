"""A complete texture of a head, aligned to the layout of a mesh, out of one photograph.

The stages are those of AvatarTex (arXiv:2511.06721): a masked diffusion completes what the photograph shows, the
result is brought onto the manifold of textures for its structure and symmetry, and a little diffusion refines it. Three
things are added: the head is fitted and the photograph unwrapped here, its light can be taken off, and every texel says
where it comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from diffusers import UNet2DModel
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from diffusers.schedulers import KarrasDiffusionSchedulers

from faces import alignment
from faces.images import ImageSource, describe, open_image
from pipelines.frame_pipeline import FramePipeline, converted
from pipelines.texture import delighting, fitting
from pipelines.texture.conditioning import CONDITION_CHANNELS, FOLD, TEXTURE_CHANNELS
from pipelines.texture.denoising import Callback, Generators, TextureDenoisingMixin
from pipelines.texture.files import TextureFilesMixin, TextureOutput
from pipelines.texture.inputs import FittedPhoto, HeadMesh, as_list, read_partials, stacked
from pipelines.texture.layout import UVLayout
from pipelines.texture.manifold import TextureManifold
from pipelines.texture.provenance import Mode, kept_share, put_back, texel_origins
from pipelines.texture.styles import PHOTOREAL, STYLES, in_style
from pipelines.texture.template import HeadTemplate
from pipelines.texture.unwrapping import PartialTexture, texel_normals, unwrap

_PARSING_ERROR = 1.5
"""Pixels of the face's frame by which its parsing may err."""
_GENERATED_SHARE = 0.1
"""How much a generated texel counts beside a seen one when the latent on the manifold is found."""


class TexturePipeline(TextureDenoisingMixin, TextureFilesMixin, FramePipeline):
    """Completes textures of heads.

    Args:
        unet: the denoiser of folded textures less what the manifold makes of them; it answers with the clean rest.
        scheduler: any that `StableDiffusionPipeline` takes, with prediction_type "sample".
        template: the head whose layout the textures have.
        manifold: the mean of textures, and how they differ.

    Raises:
        ValueError: a denoiser of other channels.
    """

    _bundled = "texture"
    model_cpu_offload_seq = "unet"
    # Offloading moves a module when it is called; these two are asked by their methods, and small.
    _exclude_from_cpu_offload = ["template", "manifold"]
    _callback_tensor_inputs = ["latents"]
    _interrupt = False
    frame_size = 256
    """Side in pixels of the frame around the face in which a photograph is parsed."""

    def __init__(
        self,
        unet: UNet2DModel,
        scheduler: KarrasDiffusionSchedulers,
        template: HeadTemplate,
        manifold: TextureManifold,
    ) -> None:
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler, template=template, manifold=manifold)
        expected = (TEXTURE_CHANNELS + CONDITION_CHANNELS, TEXTURE_CHANNELS)
        found = (unet.config.in_channels, unet.config.out_channels)
        if found != expected:
            raise ValueError(f"unet: from {found[0]} to {found[1]} channels, expected {expected}")
        self.layout: UVLayout = template.layout(unet.config.sample_size * FOLD)

    @torch.no_grad()
    def __call__(
        self,
        image: ImageSource | Sequence[ImageSource] | None = None,
        *,
        texture: Any = None,
        visibility: Any = None,
        layout: UVLayout | None = None,
        insides: Sequence[str] = ("eyes",),
        mode: Mode = "keep",
        threshold: float = 0.5,
        num_inference_steps: int = 8,
        temperature: float = 0.3,
        num_images_per_prompt: int = 1,
        use_manifold: bool = True,
        strength: float = 0.3,
        repaint: bool = False,
        delight: bool = False,
        style: str = PHOTOREAL,
        eta: float = 0.0,
        generator: Generators = None,
        latents: torch.Tensor | None = None,
        output_type: Literal["pil", "np", "pt"] = "pil",
        return_dict: bool = True,
        callback_on_step_end: Callback = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> TextureOutput | tuple:
        """Complete the textures of the heads in photographs, or textures that are known in part.

        Args:
            image: a photograph, or a list of them; the largest face of each counts.
            texture: instead of photographs, one or a list of (s, s, 3) uint8 or floats in 0..1, tensors (3, s, s) or
                PIL images, in the pipeline's `layout`.
            visibility: of each texture (s, s) in 0..1, how well a texel is known; outside of the layout it means
                nothing.
            layout: what layout the textures have, to be checked; without it only their size is.
            insides: "eyes", "mouth": read them from photographs too, as they look there; else they are generated.
            mode: "keep" leaves every seen texel bit for bit, "blend" mixes up to 3 texels at their border.
            threshold: visibility from which on a texel is seen, above 0. Those below it are generated anew, after
                what is visible of them.
            num_inference_steps: of the scheduler.
            temperature: scale of the noise, 0..1: the higher, the more may be invented where nothing is seen.
            num_images_per_prompt: textures for each input.
            use_manifold: bring completed textures onto the manifold.
            strength: of the refinement, 0..1; 0 leaves it out.
            repaint: complete and refine with the unconditional model, as a cross-check; takes about 3 times as long.
            delight: take the light off. Seen texels are then redrawn too, and none stays bit for bit. Without a
                photograph the light is taken to fall on the mean head.
            style: of `styles.STYLES`, in which finished textures are drawn, seen texels too.
            eta: of schedulers that take it.
            generator: one, or one a texture.
            latents: the noise to complete from, instead of drawing it.
            output_type: "pil", "np" or "pt".
            return_dict: `TextureOutput` instead of a tuple.
            callback_on_step_end: as everywhere in diffusers; steps of the refinement follow those of completion.
            callback_on_step_end_tensor_inputs: of `latents`.

        Raises:
            ImageError: a photograph cannot be used; `NoFaceFound` where it shows no face.
            LayoutMismatch: a texture in another layout.
            ValueError: arguments that do not fit.

        Examples:
            >>> pipe = TexturePipeline.from_pretrained("mini")
            >>> made = pipe("face.jpg")
            >>> pipe.export_glb("face.glb", made)
        """
        if isinstance(callback_on_step_end, PipelineCallback | MultiPipelineCallbacks):
            callback_on_step_end_tensor_inputs = callback_on_step_end.tensor_inputs
        self._check_call(output_type, callback_on_step_end_tensor_inputs)
        self._check_options(
            image, texture, mode, threshold, (strength, temperature), num_images_per_prompt, style
        )
        self._interrupt = False
        steps = {
            "num_inference_steps": num_inference_steps,
            "generator": generator,
            "callback": callback_on_step_end,
            "callback_inputs": callback_on_step_end_tensor_inputs,
        }

        # 1. Fit a head to each photograph, and read the texels that it shows; or take those that are given.
        if image is not None:
            fitted = [self.fit(one) for one in as_list(image)]
            partials = [self.unwrap(one, insides=insides) for one in fitted]
            meshes = [HeadMesh.of(self.template, one.fit) for one in fitted]
        else:
            partials = read_partials(texture, visibility, self.layout, layout)
            meshes = [HeadMesh.of(self.template)] * len(partials)
        partials = [one for one in partials for _ in range(num_images_per_prompt)]
        meshes = [one for one in meshes for _ in range(num_images_per_prompt)]

        # 2. Say where each texel comes from, and which are kept; take their light off.
        known, weight = stacked(partials)
        origins = [texel_origins(one.weight, self.layout, threshold) for one in partials]
        shares = [kept_share(origin, self.layout, mode) for origin in origins]
        if delight:
            known = self.delight(known, weight, meshes)
            shares = [np.zeros_like(share) for share in shares]
        pinned = torch.from_numpy(np.stack(shares))[:, None] == 1
        shown = self.show(known, weight, pinned, conditional=not repaint, generator=generator)

        # 3. Complete them.
        if repaint:
            textures = self.repaint(shown, latents=latents, **steps)
        else:
            textures = self.complete(shown, latents=latents, temperature=temperature, eta=eta, **steps)

        # 4. Bring them onto the manifold.
        if use_manifold:
            textures = self.project(textures, known, weight)

        # 5. Refine them.
        textures = self.refine(textures, shown, strength=strength, temperature=temperature, eta=eta, **steps)

        # 6. Put back what is seen.
        generated = (textures.float() / 2 + 0.5).clamp(0, 1).movedim(1, -1).cpu().numpy()
        finished = [
            put_back(drawn, one.texture, share, self.layout)
            for drawn, one, share in zip(generated, partials, shares, strict=True)
        ]

        # 7. Draw them in the style.
        if style != PHOTOREAL:
            seeds = _seeds(generator, len(finished))
            finished = [in_style(one, style, seed) for one, seed in zip(finished, seeds, strict=True)]
        pictures = [converted(one, output_type) for one in finished]
        self.maybe_free_model_hooks()
        self._interrupt = False  # stages that are called alone go on
        made = TextureOutput(
            texture=pictures,
            provenance=origins,
            partial=[one.texture for one in partials],
            visibility=[one.weight for one in partials],
            mesh=meshes,
        )
        return made if return_dict else made.to_tuple()

    def fit(self, image: ImageSource) -> FittedPhoto:
        """Find the largest face of a photograph, and the head, pose and camera that explain it.

        Raises:
            ImageError: the photograph cannot be used; `NoFaceFound` where it shows no face.
        """
        name = describe(image)
        photo = open_image(image, name=name)
        face = self.analyzer.require_face(photo, name)
        height, width = photo.shape[:2]
        parsing = alignment.unalign_labels(face.parsing, face.matrix, (height, width))
        found = fitting.fit(self.template, face.landmarks, (width, height), parsing)
        margin = _PARSING_ERROR / alignment.scale_of(face.matrix)
        return FittedPhoto(photo=photo, parsing=parsing, fit=found, margin=margin)

    def unwrap(self, fitted: FittedPhoto, *, insides: Sequence[str] = ()) -> PartialTexture:
        """Read the texels of a head that a photograph shows, and how well it shows them.

        Args:
            fitted: of `fit`.
            insides: "eyes", "mouth": what is seen there is read too.
        """
        return unwrap(
            fitted.photo,
            fitted.fit.vertices,
            self.template,
            fitted.fit.camera,
            self.layout,
            fitted.parsing,
            insides=insides,
            margin=fitted.margin,
        )

    @torch.no_grad()
    def delight(self, known: torch.Tensor, weight: torch.Tensor, meshes: Sequence[HeadMesh]) -> torch.Tensor:
        """Take off the light that textures are seen in: see `pipelines.texture.delighting`.

        Args:
            known: (n, 3, s, s) in [-1, 1].
            weight: (n, 1, s, s) in 0..1.
            meshes: of the n textures, whose surfaces the light falls on.

        Returns:
            (n, 3, s, s) in [-1, 1], on the pipeline's device.
        """
        size, device = self.layout.size, self._execution_device
        normals = np.stack([texel_normals(mesh.vertices, self.template, size) for mesh in meshes])
        places = torch.from_numpy(normals).movedim(-1, 1).to(device)
        return delighting.delight(known.to(device), weight.to(device), places, self.manifold).known

    @torch.no_grad()
    def project(self, textures: torch.Tensor, known: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Move textures along the manifold to where the known texels say that they lie.

        The second stage of AvatarTex (arXiv:2511.06721), with the closed form of `TextureManifold.fit`. What the
        manifold cannot express, such as freckles, stays as it was completed.

        Args:
            textures: (n, 3, s, s) in [-1, 1], completed.
            known: (n, 3, s, s) in [-1, 1].
            weight: (n, 1, s, s) in 0..1, of the known texels.

        Returns:
            (n, 3, s, s) float32, about in [-1, 1].
        """
        known, weight = known.to(textures), weight.to(textures)
        valid = torch.from_numpy(self.layout.valid).to(textures)
        counts = torch.maximum(weight, _GENERATED_SHARE * valid)
        mixed = textures + weight * (known - textures)
        moved = self.manifold.fit(mixed, counts).to(textures) - self.manifold.encode(textures).to(textures)
        return textures + self.manifold.offset(moved, self.layout.size).to(textures)

    def _check_call(self, output_type: str, callback_inputs: Sequence[str]) -> None:
        if output_type == "latent":
            raise ValueError(
                "output_type 'latent': seen texels are put back in the texture; expected pil, np or pt"
            )
        super()._check_call(output_type, callback_inputs)

    def _check_options(
        self,
        image: Any,
        texture: Any,
        mode: str,
        threshold: float,
        shares: tuple[float, float],
        copies: int,
        style: str,
    ) -> None:
        if (image is None) == (texture is None):
            raise ValueError("image or texture: expected one of both")
        if isinstance(image, list | tuple) and not image:
            raise ValueError("image: an empty list; give at least one photograph")
        if mode not in ("keep", "blend"):
            raise ValueError(f"mode {mode!r}: expected keep or blend")
        if style not in STYLES:
            raise ValueError(f"style {style!r}: expected one of {', '.join(STYLES)}")
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold {threshold}: expected above 0, up to 1")
        for name, share in zip(("strength", "temperature"), shares, strict=True):
            if not 0 <= share <= 1:
                raise ValueError(f"{name} {share}: expected 0..1")
        if copies < 1:
            raise ValueError(f"num_images_per_prompt {copies}: expected 1 at least")
        if self.scheduler.config.get("prediction_type") != "sample":
            found = self.scheduler.config.get("prediction_type")
            raise ValueError(
                f"scheduler: prediction_type {found!r}, expected 'sample', which the denoiser answers with"
            )


def _seeds(generator: Generators, count: int) -> list[int]:
    """A seed for each texture, for what styles leave open."""
    given = generator if isinstance(generator, list) else [generator] * count
    return [0 if one is None else one.initial_seed() for one in given]
