"""New identities: drawn from the prior, portrayed, and shown to be somebody new.

They are found one after another, in batches that the plan fixes: each must stay away from those before it
and from every identity that the model was trained on. A finished batch is a file: later runs go on there.

A model that draws a person from a portrait changes the face a little, always to its liking, so that pictures are
more like each other than like the portrait that they come from. A candidate is therefore drawn several times from its
first portrait, and the most typical of those drawings, their medoid, is who the identity is: its reference. All its
pictures come from the first portrait too.
"""

from __future__ import annotations

import contextlib
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
from gen.atelier import Atelier, Order, Portrait
from gen.portraits import Studio
from gen.prior import IdentityPrior
from gen.worker import GenerationAborted

FOLDER = "plan/identities"
PATIENCE = 8
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
    negative: str = ""
    """What its portraits shall not show."""


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
    drawings: int
    """Pictures of a candidate of which the most typical becomes the reference."""
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
    """The reference, (h, w, 3) uint8: who the identity is."""
    source: np.ndarray
    """The first portrait, (h, w, 3) uint8: what every picture of the identity is drawn from."""
    embedding: np.ndarray
    """Of length 1, measured on the reference."""
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
    workers: int = 1,
) -> list[Anchor]:
    """Find an identity for every slot, or take it from the files of an earlier run.

    Args:
        slots: in the order of acceptance.
        rules: limits and seed.
        studio: the model.
        prior: where candidates come from.
        out: folder of the dataset; anchors go to `FOLDER` in it.
        batch_size: identities that are looked for at a time.
        origin: (identity id, seed) -> provenance of the anchor picture.
        progress: called with accepted and rejected candidates of every batch.
        workers: drawings made at once; changes no byte of the result.

    Raises:
        GenerationAborted: an identity is not found within `rules.attempts` candidates.
    """
    anchors: list[Anchor] = []
    with contextlib.closing(Atelier(studio, workers, rules.limits)) as atelier:
        for first in range(0, len(slots), batch_size):
            path = out / FOLDER / f"{first // batch_size:05d}.safetensors"
            batch = _load(path)
            if batch is None:
                batch = _find_batch(slots[first : first + batch_size], anchors, rules, atelier, prior)
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
    slots: Sequence[Slot], before: list[Anchor], rules: Rules, atelier: Atelier, prior: IdentityPrior
) -> list[Anchor]:
    found: dict[str, Anchor] = {}
    rejected: dict[str, list[str]] = {slot.id: [] for slot in slots}
    for attempt in range(rules.attempts):
        waiting = [slot for slot in slots if slot.id not in found]
        if not waiting:
            break
        accepted = [*before, *found.values()]
        candidates, turned_down = _candidates(waiting, attempt, accepted, rules, atelier, prior)
        for slot in waiting:
            candidate, reason = candidates.get(slot.id), turned_down.get(slot.id, "")
            if candidate is not None:
                known = [other.embedding for other in [*before, *found.values()]]
                similar, reason = _compare(candidate.embedding, known, attempt, rules, prior)
                candidate.facts |= similar
            if candidate is None or reason:
                rejected[slot.id].append(reason)
            else:
                candidate.facts |= {
                    "candidate": attempt,
                    "rejected": rejected[slot.id],
                    "traits": slot.traits,
                }
                found[slot.id] = candidate
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
    atelier: Atelier,
    prior: IdentityPrior,
) -> tuple[dict[str, Anchor], dict[str, str]]:
    """Make one candidate for every slot, or say why there is none; only somebody new is drawn several times."""
    drawn = _draw_all(slots, attempt, [other.drawn for other in accepted], rules, prior)
    known = [other.embedding for other in accepted]

    def orders(slots: Sequence[Slot], conditions: Mapping[str, Any], number: int) -> list[Order]:
        return [
            Order(
                prompt=slot.prompt,
                condition=conditions[slot.id],
                seed=seeds.sample_seed(rules.seed, "anchor", slot.id, attempt, number),
                negative=slot.negative,
            )
            for slot in slots
        ]

    studio = atelier.studio
    conditions = {name: studio.condition_on_embedding(embedding) for name, embedding in drawn.items()}
    portraits = atelier.portray(orders(slots, conditions, 0))
    first = {slot.id: portrait for slot, portrait in zip(slots, portraits, strict=True)}
    turned_down = {
        name: reason
        for name, portrait in first.items()
        if (reason := portrait.fault or _compare(portrait.embedding, known, attempt, rules, prior)[1])
    }
    left = [slot for slot in slots if slot.id not in turned_down]
    met = atelier.condition([first[slot.id] for slot in left])
    conditions = {slot.id: condition for slot, condition in zip(left, met, strict=True)}
    numbers = range(1, rules.drawings + 1)
    portraits = atelier.portray([order for number in numbers for order in orders(left, conditions, number)])
    candidates = {}
    for place, slot in enumerate(left):
        drawings = portraits[place :: len(left)]
        sound = [portrait for portrait in drawings if not portrait.fault]
        if not sound:
            turned_down[slot.id] = drawings[-1].fault
            continue
        typical = _medoid(sound)
        candidates[slot.id] = Anchor(
            id=slot.id,
            image=typical.look.image,
            source=first[slot.id].look.image,
            embedding=typical.embedding,
            drawn=drawn[slot.id],
            facts={"seed": typical.seed, "source_seed": first[slot.id].seed},
        )
    return candidates, turned_down


def _medoid(portraits: Sequence[Portrait]) -> Portrait:
    """The portrait that is most like the others."""
    embeddings = np.stack([portrait.embedding for portrait in portraits])
    return portraits[int((embeddings @ embeddings.sum(axis=0)).argmax())]


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


def _compare(
    embedding: np.ndarray, others: list[np.ndarray], attempt: int, rules: Rules, prior: IdentityPrior
) -> tuple[dict[str, float], str]:
    """Similarities to the nearest training identity and in the set, and whom this is, "" for somebody new."""
    training = float(prior.nearest_training(embedding[None])[0])
    other = float((np.stack(others) @ embedding).max()) if others else -1.0
    similar = {"nn_sim_to_train": round(training, 6), "nn_sim_in_set": round(other, 6)}
    if training > rules.max_training_similarity:
        limit = rules.max_training_similarity
        return similar, f"cosine {training:.3f} to a training identity, at most {limit:.3f} permitted"
    limit = rules.similarity_at(attempt)
    if other > limit:
        return similar, f"cosine {other:.3f} to another identity of the set, at most {limit:.3f} permitted"
    return similar, ""


def _save(path: Path, batch: list[Anchor], origin: Callable[[str, int], provenance.Provenance]) -> None:
    """Write the pictures, then the embeddings, whose presence marks the batch as finished."""
    notes = []
    for anchor in batch:
        digests = {}
        reference, source = _files(anchor.id)
        for name, image, seed in (
            (reference, anchor.image, anchor.facts["seed"]),
            (source, anchor.source, anchor.facts["source_seed"]),
        ):
            png = provenance.to_png_bytes(image, origin(anchor.id, seed))
            atomic.write_bytes(path.parent / name, png)
            digests[name] = hashlib.sha256(png).hexdigest()
        notes.append({"id": anchor.id, "sha256": digests, **anchor.facts})
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
        name, digests = facts.pop("id"), facts.pop("sha256")
        image, source = (_read_picture(path.parent / file, digests[file]) for file in _files(name))
        if image is None or source is None:
            return None
        anchors.append(
            Anchor(id=name, image=image, source=source, embedding=embedding, drawn=drawn, facts=facts)
        )
    return anchors


def _files(name: str) -> tuple[str, str]:
    """Names of the pictures of an identity: the reference and the source."""
    return f"{name}.png", f"{name}-source.png"


def _read_picture(path: Path, digest: str) -> np.ndarray | None:
    """Read a picture, (h, w, 3) uint8; None where it is absent or not the one that was written."""
    png = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(png).hexdigest() != digest:
        return None
    pixels = np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR))
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
