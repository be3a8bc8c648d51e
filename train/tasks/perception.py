"""Everything that is read off a face, on rendered heads: the network behind face analysis."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from faces import metrics, vocabulary
from faces.head.expression import PROTOTYPES
from faces.head.spec import full_action_units
from faces.networks import network_input
from faces.openset import basic_distance
from faces.perception import AGE_CENTRES, PerceptionNet
from faces.readings import softmax
from train.augment import jitter_matrix
from train.brows import paint_brows
from train.data.heads import CARD, IGNORED, HeadArrays, attribute_arrays, unit_table, unit_weights
from train.degrade import Preset, degrade, texture
from train.draws import Draws
from train.tasks import Task

_VISIBLE = 0.15
"""Density of a beard and opacity of a makeup layer from which it counts as there, as in captions."""
_WEIGHTS = {
    "points": 20.0, "sigma": 0.05, "parsing": 1.0, "overlap": 0.5, "action_units": 12.0, "expression": 1.0,
    "valence_arousal": 3.0, "pose": 4.0, "age": 0.5, "hair_colour": 0.4, "attributes": 1.0,
    "quality": 4.0, "presence": 0.3,
}  # fmt: skip
"""First weights of the parts of the loss, about one over what they come to; training moves them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PerceptionConfig:
    """Data and loss of the perception network."""

    kind: ClassVar[str] = "perception"
    shards: tuple[Path, ...] = (
        Path("data/expressions"), Path("data/expressions-subtle"), Path("data/expressions-varied"),
    )  # fmt: skip
    heldout: Path = Path("data/dev-units")
    start: Path | None = None
    fine: int = 16
    "Channels of the maps at the full size."
    loose_share: float = 0.5
    "Share of samples framed loosely, as a detector's box would be; the others are nearly canonical."
    texture_share: float = 0.03
    "Share of samples that are pictures of textures, without a face."
    brow_share: float = 0.5
    "Share of samples whose brows are painted over with others; see `train.brows`."
    augmentation: Preset = "full"
    "Strength of the changes; see `train.degrade`."
    hold: Literal["readers", "what readers see", "all but maps"] = "what readers see"
    """What stays as it is: readers alone, and they have to be taught anew; also the levels under them; or all but what
    makes maps of parsing, so that every other answer stays the same."""
    age_deviation: float = 4.0
    "Of the distribution that an age in years is told as (label distribution learning, Geng et al. 2013)."


class PerceptionTask(Task):
    """Trains `PerceptionNet`."""

    Config = PerceptionConfig
    card = CARD

    def __init__(self, config: PerceptionConfig) -> None:
        super().__init__(config)
        self._labels: dict[str, np.ndarray] = {}
        self._unit_weights = torch.ones(len(vocabulary.UNIT_COLUMNS))

    def build(self) -> nn.Module:
        """Return the network, and a log-variance for each part of the loss."""
        net = PerceptionNet(fine=self.config.fine)
        if self.config.start:
            known = PerceptionNet.load(self.config.start)
            # Maps at the full size are new to an older network; everything else goes on.
            net = PerceptionNet(**known.config | {"fine": self.config.fine})
            net.load_state_dict(known.state_dict(), strict=False)
        self._hold(net)
        scales = {name: nn.Parameter(-torch.tensor(weight).log()) for name, weight in _WEIGHTS.items()}
        return nn.ModuleDict({"net": net, "scales": nn.ParameterDict(scales)})

    def _hold(self, net: PerceptionNet) -> None:
        """Let move what the config says, and nothing else: further trained, levels take from readers what they know."""
        only_maps = self.config.hold == "all but maps"
        net.requires_grad_(not only_maps).train(not only_maps)
        if only_maps:
            makers = nn.ModuleList([net.merge[-1], net.refine[-1], net.map_kernel])
            makers.extend([net.detail] if net.detail is not None else [])
            makers.requires_grad_(True).train()
            for name, (_, kind) in net.tasks.items():
                if kind == "maps":
                    net.queries[name].requires_grad_(True)
                    net.bias[name].requires_grad_(True)
        elif net.readers:
            levels = net.encoder[:2] if self.config.hold == "what readers see" else ()
            nn.ModuleList([net.readers, *levels]).requires_grad_(False).eval()

    def dataset(self) -> HeadArrays:
        """Return the heads with their labels as arrays."""
        heads = HeadArrays(self.config.shards)
        self._labels = study_labels(heads.labels)
        self._unit_weights = torch.from_numpy(unit_weights(self._labels["units"]))
        return heads

    def sample(self, dataset: HeadArrays, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """One augmented portrait with all its labels; now and then a texture without any."""
        image, parsing, landmarks = dataset.image[index], dataset.parsing[index], dataset.landmarks[index]
        labels = {name: values[index] for name, values in self._labels.items()}
        size = image.shape[0]
        if rng.random() < self.config.brow_share:
            image, parsing = paint_brows(image, parsing, landmarks, rng)
        if rng.random() < 0.5:
            image, parsing = image[:, ::-1], vocabulary.flip_parsing(parsing)
            landmarks, labels = vocabulary.flip_landmarks(landmarks, size), mirrored(labels)
        matrix, turn = self._framing(rng, size)
        border = cv2.BORDER_REPLICATE if rng.random() < 0.5 else cv2.BORDER_REFLECT_101
        image = cv2.warpPerspective(np.ascontiguousarray(image), matrix, (size, size), borderMode=border)
        parsing = cv2.warpPerspective(
            np.ascontiguousarray(parsing), matrix, (size, size), flags=cv2.INTER_NEAREST, borderMode=border
        )
        # cv2 counts from the centre of the first pixel, landmarks from its corner.
        landmarks = cv2.perspectiveTransform(landmarks[None].astype(np.float64) - 0.5, matrix)[0] + 0.5
        labels["pose"] = labels["pose"] + np.array([0, 0, turn], np.float32)
        image, quality = degrade(image, rng, self.config.augmentation)
        face = bool(rng.random() >= self.config.texture_share)
        if not face:
            image, quality = texture(rng, size), 0.0
            landmarks = rng.uniform(0, size, (68, 2))
        return {
            "image": image,
            "parsing": parsing.astype(np.int64),
            "points": (landmarks / size).astype(np.float32),
            "quality": np.float32(quality),
            "presence": np.float32(face),
            **labels,
        }

    def _framing(self, rng: np.random.Generator, size: int) -> tuple[np.ndarray, float]:
        """Homography of a framing, and the degrees by which it turns the picture clockwise."""
        wide = rng.random() < self.config.loose_share
        spread = (0.06, 0.2, 12.0) if wide else (0.015, 0.04, 3.0)
        if self.config.augmentation == "none":
            spread = (0.015, 0.04, 3.0)
        matrix = np.vstack([jitter_matrix(rng, size, *spread), [0, 0, 1]])
        turn = float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))
        if self.config.augmentation == "full":
            corners = np.array([[0, 0], [size, 0], [size, size], [0, size]], np.float32)
            moved = corners + rng.normal(0, 0.015 * size, (4, 2)).astype(np.float32)
            matrix = cv2.getPerspectiveTransform(corners, moved) @ matrix
        return matrix, turn

    def loss(self, model: Any, batch: dict[str, Any], draws: Draws):
        """Sum of the parts, each with a learned weight (Kendall et al. 2018, arXiv:1705.07115, equation 7)."""
        net = model["net"]
        self._hold(net)  # a trainer sets the whole model to training
        only_maps = self.config.hold == "all but maps"
        queried = ["parsing"] if only_maps else [name for name in net.tasks if name not in net.readers]
        out = {name: value.float() for name, value in net(network_input(batch["image"]), queried).items()}
        parts = self._maps(out["parsing"], batch) | ({} if only_maps else self._parts(out, batch))
        # Bounded, so that a part that is nearly solved does not take over; a likelihood may be negative and would
        # take over at once.
        scales = {name: model["scales"][name].clamp(-5, 5) for name in parts}
        if "sigma" in scales:
            scales["sigma"] = scales["sigma"].detach()
        total = sum((-scales[name]).exp() * value + scales[name] for name, value in parts.items())
        weights = {f"weight/{name}": (-scale).exp().detach() for name, scale in scales.items()}
        return total, {name: value.detach() for name, value in parts.items()} | weights

    @staticmethod
    def _maps(logits: torch.Tensor, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        face = batch["presence"] > 0.5
        every = batch["parsing"].shape[-1] // logits.shape[-1]
        parsing = batch["parsing"][:, ::every, ::every]
        each = functional.cross_entropy(logits, parsing, reduction="none")
        return {"parsing": _mean(each, face[:, None, None]), "overlap": _dice(logits[face], parsing[face])}

    def _parts(self, out: dict[str, torch.Tensor], batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        face = batch["presence"] > 0.5
        points, log_sigma = batch["points"], out["landmarks_log_sigma"].clamp(-6, 1)
        squared = (out["landmarks"] - points).square().sum(dim=-1)
        inside = ((points > 0) & (points < 1)).all(dim=-1) & face[:, None]
        # The likelihood teaches deviations only: as a loss of places it lets go of hard ones.
        likelihood = 2 * log_sigma + squared.detach() * (-2 * log_sigma).exp() / 2
        basic = batch["expression"] != IGNORED
        known_hair = batch["attributes"][:, 3] < 0.5
        centres = torch.tensor(AGE_CENTRES, dtype=torch.float32, device=points.device)
        wanted_age = torch.softmax(
            -((centres - batch["age"][:, None]) ** 2) / (2 * self.config.age_deviation**2), dim=1
        )
        found_age = out["age"].softmax(dim=1)
        age = functional.cross_entropy(out["age"], wanted_age, reduction="none")
        age = age + (found_age @ centres - batch["age"]).abs() / 6
        logits = functional.binary_cross_entropy_with_logits
        parts = {
            "points": _mean((squared + 1e-8).sqrt(), inside),
            "sigma": likelihood.mean(),
            "expression": _mean(
                functional.cross_entropy(
                    out["expression"], batch["expression"], ignore_index=IGNORED, reduction="none"
                ),
                face & basic,
            ),
            "valence_arousal": _mean(
                (out["valence_arousal"] - batch["valence_arousal"]).square(), (face & basic)[:, None]
            ),
            "pose": _mean((out["pose"] - batch["pose"] / 45).abs(), face[:, None]),
            "age": _mean(age, face),
            "hair_colour": _mean(
                functional.cross_entropy(out["hair_colour"], batch["hair_colour"], reduction="none"),
                face & known_hair,
            ),
            "attributes": _mean(
                logits(out["attributes"], batch["attributes"], reduction="none"), face[:, None]
            ),
            "quality": (out["quality"][:, 0].sigmoid() - batch["quality"]).square().mean(),
            "presence": logits(out["presence"][:, 0], batch["presence"]),
        }
        if "action_units" in out:
            squared = (out["action_units"] - batch["units"]).square() * self._unit_weights.to(points.device)
            parts["action_units"] = _mean(squared, face[:, None])
        return parts

    def validate(self, model: Any, step: int, folder: Path) -> dict[str, float]:
        """Score every task on people that training does not show."""
        heads = HeadArrays(self.config.heldout)
        wanted = study_labels(heads.labels)
        out = look(model["net"], heads.image)
        size = heads.image.shape[1]
        every = heads.parsing.shape[-1] // out["parsing"].shape[-1]
        units = metrics.correlations(out["action_units"], wanted["units"])
        basic = wanted["expression"] != IGNORED
        hair = wanted["attributes"][:, 3] < 0.5
        years = softmax(out["age"]) @ np.array(AGE_CENTRES)
        return {
            "nme": float(metrics.landmark_error(out["landmarks"] * size, heads.landmarks).mean()),
            "miou": metrics.mean_iou(out["parsing"], heads.parsing[:, ::every, ::every]),
            "pose_mae": float(np.abs(out["pose"] * 45 - wanted["pose"]).mean()),
            "unit_r": float(np.nanmean(units)),
            "unit_r_least": float(np.nanmin(units)),
            "expression": float((out["expression"].argmax(1) == wanted["expression"])[basic].mean()),
            "open_set": metrics.auroc(basic_distance(out["action_units"]), ~basic),
            "age_mae": float(np.abs(years - wanted["age"]).mean()),
            "hair_colour": float((out["hair_colour"].argmax(1) == wanted["hair_colour"])[hair].mean()),
            "ece": metrics.calibration_error(softmax(out["expression"][basic]), wanted["expression"][basic]),
        }

    def export(self, model: Any, folder: Path) -> None:
        """Write the network in fp16."""
        model["net"].save(folder)


def study_labels(labels: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Labels of heads as the network answers them.

    Returns:
        units (n, 26) intensities; expression (n,) class or IGNORED; valence_arousal (n, 2); pose (n, 3) degrees; age
        (n,) years; hair_colour (n,) class; attributes (n, 4) 0 or 1 in the order of `ATTRIBUTES`.
    """
    plain = attribute_arrays(labels)
    attributes = [
        (
            row["glasses"],
            row["beard"] >= _VISIBLE,
            any(layer["alpha"] >= _VISIBLE for layer in row["makeup"]),
            row["hair_style"] == "bald",
        )
        for row in labels
    ]
    return {
        "units": unit_table(labels),
        "expression": plain["expression"],
        "valence_arousal": np.array([_circumplex(row) for row in labels], np.float32),
        "pose": plain["pose"],
        "age": plain["age"],
        "hair_colour": plain["hair_colour"],
        "attributes": np.array(attributes, np.float32),
    }


def mirrored(labels: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Labels of one head, or of many, as its mirror image shows them."""
    turned = labels["pose"] * np.array([-1, 1, -1], np.float32)
    return labels | {"units": vocabulary.flip_units(labels["units"]), "pose": turned}


def _circumplex(row: dict[str, Any]) -> tuple[float, float]:
    """Valence and arousal: those of the expression times how strongly it is shown, 0 for a mixed one (not learnt)."""
    expression = row["expression"]
    if expression in (vocabulary.MIXED, "neutral"):
        return 0.0, 0.0
    full = full_action_units(PROTOTYPES[expression])
    shown = sum(row["au"][unit] * value for unit, value in full.items())
    strength = min(1.0, shown / sum(value**2 for value in full.values()))
    valence, arousal = vocabulary.CIRCUMPLEX[expression]
    return valence * strength, arousal * strength


def _mean(values: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """Mean of the values that count; 0 where none does."""
    counted = counted.expand_as(values).to(values.dtype)
    return (values * counted).sum() / counted.sum().clamp(min=1)


def _dice(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """One minus the soft Dice overlap over the classes that occur (Milletari et al. 2016): small parts count too."""
    found = logits.softmax(dim=1)
    true = functional.one_hot(wanted, logits.shape[1]).movedim(-1, 1).to(found.dtype)
    both, either = (found * true).sum(dim=(0, 2, 3)), (found + true).sum(dim=(0, 2, 3))
    occurs = true.sum(dim=(0, 2, 3)) > 0
    return 1 - (2 * both[occurs] / either[occurs].clamp(min=1e-6)).mean()


@torch.no_grad()
def look(
    net: PerceptionNet, images: np.ndarray, tasks: tuple[str, ...] | None = None, batch: int = 64
) -> dict[str, np.ndarray]:
    """Raw answers on portraits (n, s, s, 3) uint8, to all tasks by default; of parsing the labels."""
    device = next(net.parameters()).device
    parts = []
    for start in range(0, len(images), batch):
        chunk = torch.from_numpy(np.ascontiguousarray(images[start : start + batch])).to(device)
        out = net(network_input(chunk), tasks)
        if "parsing" in out:
            out["parsing"] = out["parsing"].argmax(dim=1)
        parts.append({name: value.float().cpu().numpy() for name, value in out.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
