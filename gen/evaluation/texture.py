"""The bars of texture completion: exact textures of held-out heads against what is completed from one picture."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import trimesh

from faces.alignment import anchor_points, fit_similarity, transform_points
from faces.metrics import landmark_error
from faces.networks import network_input
from gen.evaluation import exam as perception_exam
from gen.evaluation import speed, texture_exam, texture_measures, texture_views
from gen.evaluation.bars import Bar, Settings, controls_bar
from gen.evaluation.exam import Exam
from gen.evaluation.intervals import mean_interval
from gen.evaluation.judge import Judge, require_independent
from gen.evaluation.texture_exam import TextureExam
from gen.evaluation.texture_guesses import guesses
from gen.evaluation.texture_measures import MODEL, Regions, line
from gen.seeds import noise_generator, sample_seed
from gen.worker import cpu_threads
from pipelines.texture import fitting
from pipelines.texture.camera import HeadCamera
from pipelines.texture.guesses import region_psnr
from pipelines.texture.inputs import HeadMesh
from pipelines.texture.provenance import TexelOrigin, texel_origins
from pipelines.texture.unwrapping import unwrap

SEED = 20261201
"""Of the noise."""
SECONDS = 6.0
QUICK = 12
"""Heads of a quick run."""
_SEEN = 0.5
"""Weight from which on the pipeline keeps a texel."""
_MEAN_OF, _SAMPLED = 8, 12
"""Samples of which the mean is measured too, and heads that they are drawn for."""
_BATCH = 12
_FITTED = 60
"""Held-out renders that heads are fitted to."""
_FIT_ERROR = 0.025


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Read:
    """What pictures show of the textures of n heads."""

    known: torch.Tensor
    """(n, 3, s, s) in [-1, 1], 0 where nothing is known."""
    weight: torch.Tensor
    """(n, 1, s, s) in 0..1."""
    meshes: list[HeadMesh]
    cameras: list[HeadCamera]


def measure(settings: Settings) -> list[Bar]:
    """Measure every bar of the texture task; loads the pipeline, the judge, the exam and held-out renders."""
    from pipelines.device import best_device
    from pipelines.texture.pipeline import TexturePipeline

    exam = texture_exam.load(settings.data)
    pipe = TexturePipeline.from_pretrained(settings.model)
    pipe.set_progress_bar_config(disable=True)
    renders = perception_exam.load("first")
    settings.progress("photographs", 0.0)
    fits = fit_bar(pipe, renders, 20 if settings.quick else _FITTED)
    files = file_bars(pipe, renders.images[0], 2 if settings.quick else 5)
    pipe.to(settings.device or best_device())
    return [*measure_textures(pipe, Judge.bundled(pipe.device), exam, settings), fits, *files]


def measure_textures(pipe: Any, judge: Judge, exam: TextureExam, settings: Settings) -> list[Bar]:
    """Measure all that completed textures show.

    Args:
        pipe: a texture pipeline.
        judge: shares no weights with the pipeline.
        exam: the set.
        settings: how many heads, where plots go, how progress is told.
    """
    require_independent(judge.network, pipe.components)
    exam = exam.some(QUICK) if settings.quick else exam
    truth = network_input(torch.from_numpy(exam.textures))
    settings.progress("unwrapping", 0.0)
    read = read_pictures(pipe, exam, exam.pictures)
    where = Regions.of(truth, read.weight, pipe.layout)
    own = complete(pipe, read.known, read.weight, settings, "completion")
    origins = np.stack([texel_origins(one, pipe.layout, _SEEN) for one in read.weight[:, 0].numpy()])
    others = np.roll(np.arange(len(exam)), len(exam) // 2)
    shuffled = complete(pipe, *_borrowed(read, others), settings, "another subject's texels")
    made = {MODEL: own} | guesses(read.known, read.weight, pipe.manifold.cpu(), pipe.layout)
    pipe.manifold.to(pipe.device)
    seen = origins == TexelOrigin.SEEN
    pictures, true = (_pictures(one) for one in (own, truth))
    pasted = np.where(seen[..., None], pictures, _pictures(made["mean"]))
    bars = [
        *texture_measures.gain_bars(made, shuffled, where, exam),
        kept_bar(pictures, read, seen),
        texture_measures.seam_bar(pictures, pasted, true, seen, pipe.layout),
        texture_measures.wrong_subject_bar(own, shuffled, where),
        *texture_views.bars(pipe, judge, read, made, seen, truth, settings),
        *texture_measures.psnr_lines(made, where, exam),
        *texture_measures.detail_lines(made, where),
        texture_measures.symmetry_line(own, where, pipe.layout),
        *sample_lines(pipe, read, where, settings),
        *lit_lines(pipe, exam, truth, settings),
    ]
    bars.append(controls_bar(bars))
    if settings.plots is not None:
        from gen.evaluation import texture_plots

        texture_plots.draw(settings.plots, pipe, exam, read, made, origins)
    return bars


def read_pictures(pipe: Any, exam: TextureExam, pictures: np.ndarray) -> Read:
    """Fit the template to the landmarks of heads, whose own meshes it is not, and unwrap pictures of them.

    Args:
        pipe: whose template and layout.
        exam: n heads.
        pictures: (n, p, p, 3) uint8 of them.
    """
    partials, meshes, cameras = [], [], []
    for picture, landmarks, parsing in zip(pictures, exam.landmarks, exam.parsing, strict=True):
        found = fitting.fit(pipe.template, landmarks, picture.shape[1::-1], parsing)
        partials.append(
            unwrap(
                picture,
                found.vertices,
                pipe.template,
                found.camera,
                pipe.layout,
                parsing,
                insides=("eyes",),
                margin=1.0,
            )
        )
        meshes.append(HeadMesh.of(pipe.template, found))
        cameras.append(found.camera)
    known = np.stack([np.where(one.weight[..., None] > 0, one.texture * 2 - 1, 0) for one in partials])
    weight = np.stack([one.weight for one in partials])
    return Read(
        known=torch.from_numpy(known).movedim(-1, 1).float(), weight=torch.from_numpy(weight)[:, None],
        meshes=meshes, cameras=cameras,
    )  # fmt: skip


def complete(
    pipe: Any, known: torch.Tensor, weight: torch.Tensor, settings: Settings, title: str, **options: Any
) -> torch.Tensor:
    """Complete textures by calls as a user makes them, (n, 3, s, s) float32 in [-1, 1]; each has its noise.

    Args:
        pipe: a texture pipeline.
        known: (n, 3, s, s) in [-1, 1].
        weight: (n, 1, s, s) in 0..1.
        settings: tells the progress.
        title: of the progress.
        **options: of the call, and "draw", which chooses another noise.
    """
    draw, made = options.pop("draw", 0), []
    for start in range(0, len(known), _BATCH):
        settings.progress(title, start / len(known))
        rows = range(start, min(start + _BATCH, len(known)))
        result = pipe(
            texture=[known[row].clamp(-1, 1) / 2 + 0.5 for row in rows],
            visibility=[weight[row, 0] for row in rows],
            generator=[noise_generator(sample_seed(SEED, row, draw)) for row in rows],
            output_type="pt",
            **options,
        )
        made += [one.float().cpu() * 2 - 1 for one in result.texture]
    settings.progress(title, 1.0)
    return torch.stack(made)


def kept_bar(pictures: np.ndarray, read: Read, seen: np.ndarray) -> Bar:
    """Share of the seen texels that are the picture's, bit for bit; beside it that of texels that are not seen."""
    known = _pictures(read.known)
    same = (pictures == known).all(axis=-1)
    return Bar(
        name="seen texels that stay bit for bit", value=float(same[seen].mean()), bar=1.0, direction=">=",
        n=len(pictures), control=float(same[~seen & (read.weight[:, 0].numpy() > 0)].mean()),
    )  # fmt: skip


def sample_lines(pipe: Any, read: Read, where: Regions, settings: Settings) -> list[Bar]:
    """What samples of some heads have in common and how they differ, and what RePaint makes of the same model.

    Lines without a limit; RePaint takes long and is left out of quick runs.
    """
    few = slice(None, None, max(1, len(read.known) // _SAMPLED))
    known, weight, never = read.known[few], read.weight[few], where.inside["never"][few]
    count = 2 if settings.quick else _MEAN_OF
    drawn = torch.stack(
        [
            complete(pipe, known, weight, settings, f"sample {draw} of {count}", draw=draw, temperature=1.0)
            for draw in range(1, count + 1)
        ]
    )
    deviation = drawn.std(dim=0).mean(dim=1, keepdim=True) / 2 * 255
    spread = (deviation * never).sum(dim=(1, 2, 3)) / never.sum(dim=(1, 2, 3))
    compared = {
        "one sample of temperature 1": drawn[0],
        f"mean of {count} samples of temperature 1": drawn.mean(dim=0),
    }
    if not settings.quick:
        compared["RePaint over the unconditional model"] = complete(
            pipe, known, weight, settings, "RePaint", repaint=True, num_inference_steps=20
        )
    lines = [
        line(f"PSNR of never-seen texels, {title}, dB", region_psnr(one, where.truth[few], never).numpy())
        for title, one in compared.items()
    ]
    return [*lines, line("deviation of never-seen texels between these samples, of 255", spread.numpy())]


def lit_lines(pipe: Any, exam: TextureExam, truth: torch.Tensor, settings: Settings) -> list[Bar]:
    """The same heads in light: seen and hidden texels against textures without it, with delighting and without."""
    read = read_pictures(pipe, exam, exam.lit)
    where = Regions.of(truth, read.weight, pipe.layout)
    seen = read.weight >= _SEEN
    plain = complete(pipe, read.known, read.weight, settings, "in light")
    bare = delit(pipe, read, settings)
    lines = []
    for title, one in (("light left", plain), ("light taken off", bare)):
        lines += [
            line(f"lit pictures, {title}: PSNR of seen texels, dB", region_psnr(one, truth, seen).numpy()),
            line(f"lit pictures, {title}: PSNR of hidden texels, dB", where.psnr(one, "unseen")),
        ]
    return lines


def delit(pipe: Any, read: Read, settings: Settings) -> torch.Tensor:
    """Complete lit textures on their own heads and take the light off, (n, 3, s, s) in [-1, 1]."""
    known = pipe.delight(read.known, read.weight, read.meshes).cpu()
    made = []
    for start in range(0, len(known), _BATCH):
        settings.progress("light taken off", start / len(known))
        part = slice(start, start + _BATCH)
        pinned = torch.zeros_like(read.weight[part], dtype=torch.bool)
        shown = pipe.show(known[part], read.weight[part], pinned)
        generator = [noise_generator(sample_seed(SEED, row)) for row in range(len(known))[part]]
        drawn = pipe.complete(shown, generator=generator)
        made.append(pipe.refine(drawn, shown, generator=generator).cpu())
    return torch.cat(made).clamp(-1, 1)


def fit_bar(pipe: Any, renders: Exam, count: int) -> Bar:
    """Reprojection of fitted heads against the true landmarks of held-out renders, found by the bundled analyzer.

    The control is the mean head, put where the landmarks are and not fitted to them.
    """
    rows = np.linspace(0, len(renders.images) - 1, count).round().astype(int)
    truth = renders.landmarks[rows]
    found = np.stack([pipe.fit(renders.images[row]).fit.landmarks for row in rows])
    mean = HeadMesh.of(pipe.template).vertices
    points = pipe.template.landmarks_of(torch.from_numpy(mean)[None])[0].numpy()
    flat = HeadCamera.portrait(mean, renders.images.shape[1]).project(points)[0]
    placed = [
        transform_points(flat, fit_similarity(anchor_points(flat), anchor_points(one))) for one in truth
    ]
    values, controls = landmark_error(found, truth), landmark_error(np.stack(placed), truth)
    return Bar(
        name="reprojection of a fitted head, share of the distance of the eyes' outer corners",
        value=float(values.mean()), bar=_FIT_ERROR, direction="<=", n=len(values),
        ci95=mean_interval(values, renders.identities[rows]), control=float(controls.mean()),
    )  # fmt: skip


def file_bars(pipe: Any, photo: np.ndarray, repeats: int) -> list[Bar]:
    """Time from a photograph to its GLB on the CPU, the first call not counted; and whether the file is whole."""
    taken, size = [], photo.shape[0]
    with cpu_threads(speed.THREADS), TemporaryDirectory() as folder:
        path = Path(folder) / "head.glb"
        for _ in range(repeats + 1):
            begin = time.perf_counter()
            made = pipe(photo, generator=torch.Generator().manual_seed(SEED))
            pipe.export_glb(path, made)
            taken.append(time.perf_counter() - begin)
        faults = glb_faults(path.read_bytes(), made.mesh[0])
    values = np.array(taken[1:])
    return [
        Bar(
            name="seconds from a photograph to its GLB", value=float(np.median(values)), bar=SECONDS, direction="<=",
            n=len(values), ci95=mean_interval(values, range(len(values))),
            domain=f"this machine, {speed.THREADS} CPU threads, a photograph of {size} px",
        ),
        Bar(name="faults of the GLB as it is read back", value=float(faults), bar=0.0, direction="<=", n=1),
    ]  # fmt: skip


def glb_faults(content: bytes, mesh: HeadMesh) -> int:
    """Count what differs between a GLB, as trimesh reads it, and the head that was written."""
    scene = trimesh.load(io.BytesIO(content), file_type="glb", process=False)
    (found,) = scene.geometry.values()  # type: ignore[union-attr]
    texture = found.visual.material.baseColorTexture
    return sum(
        [
            not np.array_equal(found.faces, mesh.triangles),
            not np.allclose(found.vertices, mesh.vertices / 10, atol=1e-5),
            not np.allclose(found.visual.uv, mesh.uv * [1, -1] + [0, 1], atol=1e-5),
            texture is None or min(texture.size) < 2,
        ]
    )


def _borrowed(read: Read, others: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """The texels of other heads where both heads are seen, with their weights."""
    weight = torch.minimum(read.weight, read.weight[others])
    return torch.where(weight > 0, read.known[others], 0), weight


def _pictures(textures: torch.Tensor) -> np.ndarray:
    """(n, s, s, 3) float32 in 0..1."""
    return (textures.clamp(-1, 1) / 2 + 0.5).movedim(1, -1).numpy().astype(np.float32)
