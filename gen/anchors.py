"""New identities: drawn from the prior, portrayed, and shown to be somebody new.

They are found one after another, in batches that the plan fixes: each must stay away from those before it
and from every identity that the model was trained on. A finished batch is a file: later runs go on there.

A model that draws a person again from its own portrait changes the face a little, always to its liking; repeated,
the face comes to rest at one that the model draws as it is (a fixed-point iteration). Candidates are portrayed
again for that reason, as long as they are nobody known: the pictures of an identity then show one person.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from faces import provenance
from gen import atomic, checks, seeds
from gen.portraits import Studio
from gen.prior import IdentityPrior
from gen.worker import GenerationAborted

FOLDER = "plan/identities"
PATIENCE = 4
"""Candidates after which an identity may be as near to another as the rules allow at all."""
CHOICE = 64
"""Draws from the prior of which the one that is least like the identities so far becomes a candidate: plain draws
fill the space unevenly, and portraits of neighbours soon look like one person."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """An identity that the plan asks for."""

    id: str
    prompt: str
    traits: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What makes an identity new."""

    seed: int
    max_similarity: float
    """Largest cosine to another identity of the dataset."""
    wanted_similarity: float
    """What the first candidates have to stay below; it rises to `max_similarity` over `PATIENCE` candidates."""
    max_training_similarity: float
    """Largest cosine to an identity of the training set."""
    attempts: int
    """Candidates per identity."""
    settling: int
    """Times that a candidate is portrayed again from its own portrait."""
    limits: checks.Thresholds

    def similarity_at(self, attempt: int) -> float:
        """Largest cosine to another identity that a candidate may have, attempts counted from 0."""
        wanted = min(self.wanted_similarity, self.max_similarity)
        return wanted + min(1.0, attempt / PATIENCE) * (self.max_similarity - wanted)


@dataclass(kw_only=True, slots=True)
class Anchor:
    """An accepted identity."""

    id: str
    image: np.ndarray
    """(h, w, 3) uint8."""
    embedding: np.ndarray
    """Of length 1, measured on the image."""
    drawn: np.ndarray
    """The draw from the prior that it began as, of length 1."""
    facts: dict[str, Any] = field(default_factory=dict)
    """traits, candidate number, nearest similarities, reasons of earlier candidates."""


def find(
    slots: Sequence[Slot],
    rules: Rules,
    studio: Studio,
    prior: IdentityPrior,
    out: Path,
    batch_size: int,
    origin: Callable[[str, int], provenance.Provenance],
    progress: Callable[[int, int], None],
) -> list[Anchor]:
    """Find an identity for every slot, or take it from the files of an earlier run.

    Args:
        slots: in the order of acceptance.
        rules: limits and seed.
        studio: the model.
        prior: where candidates come from.
        out: folder of the dataset; anchors go to `FOLDER` in it.
        batch_size: candidates per call of the model.
        origin: (identity id, seed) -> provenance of the anchor picture.
        progress: called with accepted and rejected candidates of every batch.

    Raises:
        GenerationAborted: an identity is not found within `rules.attempts` candidates.
    """
    anchors: list[Anchor] = []
    for first in range(0, len(slots), batch_size):
        path = out / FOLDER / f"{first // batch_size:05d}.safetensors"
        batch = _load(path)
        if batch is None:
            batch = _find_batch(slots[first : first + batch_size], anchors, rules, studio, prior)
            _save(path, batch, origin)
        anchors += batch
        progress(len(batch), sum(len(anchor.facts["rejected"]) for anchor in batch))
    return anchors


def load(out: Path) -> dict[str, Anchor]:
    """Read all identities of a dataset.

    Raises:
        FileNotFoundError: the folder holds none, or a file of theirs is missing or was changed.
    """
    anchors: list[Anchor] = []
    for path in sorted((out / FOLDER).glob("*.safetensors")):
        batch = _load(path)
        if batch is None:
            raise FileNotFoundError(f"{path}: its pictures are missing or changed; run the same recipe again")
        anchors += batch
    if not anchors:
        raise FileNotFoundError(f"{out / FOLDER}: holds no identities, the recipe was not prepared here")
    return {anchor.id: anchor for anchor in anchors}


def are_found(slots: Sequence[Slot], out: Path) -> bool:
    """Whether the folder holds an identity for every slot, undamaged."""
    try:
        return list(load(out)) == [slot.id for slot in slots]
    except FileNotFoundError:
        return False


def _find_batch(
    slots: Sequence[Slot], before: list[Anchor], rules: Rules, studio: Studio, prior: IdentityPrior
) -> list[Anchor]:
    found: dict[str, Anchor] = {}
    rejected: dict[str, list[str]] = {slot.id: [] for slot in slots}
    for attempt in range(rules.attempts):
        waiting = [slot for slot in slots if slot.id not in found]
        if not waiting:
            break
        accepted = [*before, *found.values()]
        for slot, anchor, reason in _candidates(waiting, attempt, accepted, rules, studio, prior):
            if anchor is not None:
                known = [other.embedding for other in [*before, *found.values()]]
                reason = _is_known(anchor, known, attempt, rules, prior)
            if anchor is None or reason:
                rejected[slot.id].append(reason)
            else:
                anchor.facts |= {"candidate": attempt, "rejected": rejected[slot.id], "traits": slot.traits}
                found[slot.id] = anchor
    missing = [slot.id for slot in slots if slot.id not in found]
    if missing:
        raise GenerationAborted(
            f"{missing[0]}: none of {rules.attempts} candidates is a new identity, the last: "
            f"{rejected[missing[0]][-1]}; "
            "ask for fewer ids, or allow a larger max_similarity or max_training_similarity"
        )
    return [found[slot.id] for slot in slots]


def _candidates(
    slots: Sequence[Slot],
    attempt: int,
    accepted: Sequence[Anchor],
    rules: Rules,
    studio: Studio,
    prior: IdentityPrior,
) -> list[tuple[Slot, Anchor | None, str]]:
    """Make one candidate portrait for every slot, or say why there is none; only somebody new is drawn again."""
    drawn = _draw_all(slots, attempt, [other.drawn for other in accepted], rules, prior)
    known = [other.embedding for other in accepted]
    conditions = {name: studio.condition_on_embedding(embedding) for name, embedding in drawn.items()}
    standing: dict[str, Anchor] = {}
    turned_down: dict[str, str] = {}
    for again in range(rules.settling + 1):
        waiting = [slot for slot in slots if slot.id not in turned_down]
        if not waiting:
            break
        conditions |= {name: studio.condition_on_picture(anchor.image) for name, anchor in standing.items()}
        noise = [seeds.sample_seed(rules.seed, "anchor", slot.id, attempt, again) for slot in waiting]
        images = studio.make(
            [slot.prompt for slot in waiting], "", [conditions[slot.id] for slot in waiting], noise
        )
        standing = {}
        for slot, image, seed in zip(waiting, images, noise, strict=True):
            look = studio.look(image)
            _, reason = checks.verdict(look.measured, rules.limits)
            if reason or look.embedding is None:
                turned_down[slot.id] = reason or "no identity embedding"
                continue
            anchor = Anchor(
                id=slot.id,
                image=look.image,
                embedding=look.embedding,
                drawn=drawn[slot.id],
                facts={"seed": seed},
            )
            reason = _is_known(anchor, known, attempt, rules, prior)
            if reason:
                turned_down[slot.id] = reason
            else:
                standing[slot.id] = anchor
    return [(slot, standing.get(slot.id), turned_down.get(slot.id, "")) for slot in slots]


def _draw_all(
    slots: Sequence[Slot], attempt: int, taken: Sequence[np.ndarray], rules: Rules, prior: IdentityPrior
) -> dict[str, np.ndarray]:
    drawn: dict[str, np.ndarray] = {}
    for slot in slots:
        rng = seeds.stream(rules.seed, "identity", slot.id, attempt)
        drawn[slot.id] = _draw(prior, rng, slot.traits, [*taken, *drawn.values()])
    return drawn


def _draw(
    prior: IdentityPrior,
    rng: np.random.Generator,
    traits: Mapping[str, Any],
    taken: Sequence[np.ndarray],
) -> np.ndarray:
    """Draw an identity unlike those already drawn: the best candidate (Mitchell, SIGGRAPH 1991)."""
    drawn = np.stack([prior.sample(rng, traits) for _ in range(CHOICE)])
    return drawn[(drawn @ np.stack(taken).T).max(axis=1).argmin()] if taken else drawn[0]


def _is_known(
    anchor: Anchor, others: list[np.ndarray], attempt: int, rules: Rules, prior: IdentityPrior
) -> str:
    """Say whom a candidate resembles too much, "" when it is somebody new; notes both similarities."""
    training = float(prior.nearest_training(anchor.embedding[None])[0])
    other = float((np.stack(others) @ anchor.embedding).max()) if others else -1.0
    anchor.facts |= {"nn_sim_to_train": round(training, 6), "nn_sim_in_set": round(other, 6)}
    if training > rules.max_training_similarity:
        limit = rules.max_training_similarity
        return f"cosine {training:.3f} to a training identity, at most {limit:.3f} permitted"
    limit = rules.similarity_at(attempt)
    if other > limit:
        return f"cosine {other:.3f} to another identity of the set, at most {limit:.3f} permitted"
    return ""


def _save(path: Path, batch: list[Anchor], origin: Callable[[str, int], provenance.Provenance]) -> None:
    """Write the pictures, then the embeddings, whose presence marks the batch as finished."""
    notes = []
    for anchor in batch:
        png = provenance.to_png_bytes(anchor.image, origin(anchor.id, anchor.facts["seed"]))
        atomic.write_bytes(path.parent / f"{anchor.id}.png", png)
        notes.append({"id": anchor.id, "sha256": hashlib.sha256(png).hexdigest(), **anchor.facts})
    tensors = {
        "embeddings": np.stack([anchor.embedding for anchor in batch]).astype(np.float32),
        "drawn": np.stack([anchor.drawn for anchor in batch]).astype(np.float32),
    }
    atomic.write_bytes(path, save(tensors, metadata={"anchors": json.dumps(notes, sort_keys=True)}))


def _load(path: Path) -> list[Anchor] | None:
    """Read a finished batch; None where it is absent or a picture is not the one that was written."""
    if not path.is_file():
        return None
    with safe_open(path, "numpy") as file:
        notes = json.loads(file.metadata()["anchors"])
        embeddings, draws = file.get_tensor("embeddings"), file.get_tensor("drawn")
    anchors = []
    for facts, embedding, drawn in zip(notes, embeddings, draws, strict=True):
        picture = path.parent / f"{facts['id']}.png"
        png = picture.read_bytes() if picture.is_file() else b""
        if hashlib.sha256(png).hexdigest() != facts.pop("sha256"):
            return None
        pixels = np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR))
        image = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
        anchors.append(Anchor(id=facts.pop("id"), image=image, embedding=embedding, drawn=drawn, facts=facts))
    return anchors
