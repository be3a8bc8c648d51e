"""A handful of made-up heads for the training tasks: noise for pictures, real labels."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import default_collate

from faces.captions import caption
from faces.flow import encode_flow
from faces.head.dataset import _write_parquet
from faces.head.sampler import HeadSampler
from faces.head.study import study_state
from train.draws import Draws

SIZE = 128


def write_shards(folder: Path, makeup: bool = False, motion: bool = False) -> Path:
    """Write four people in two pictures each, half of them with free action units.

    With `makeup` the first of each is bare, and all wear one look in the second. With `motion` the head of the first is
    a pixel further right and two further down in the second.
    """
    sampler = HeadSampler(3, [f"nose/nose-{name}|incr" for name in "abcd"], np.arange(50, 90))
    rng = np.random.default_rng(0)
    rows = []
    with tarfile.open(folder / "heads-00000.tar", "w") as tar:
        for index in range(8):
            spec = sampler.spec(*divmod(index, 2))
            state = study_state(
                spec.state, "units" if index % 2 else "portraits", np.random.default_rng(index)
            )
            spec = spec.model_copy(update={"state": state})
            row = {"key": f"0003_{index:07d}", **spec.labels()}
            row["caption"] = caption(row, rng)
            if makeup:
                worn = {"region": "lips", "colour": [0.5, 0.1, 0.1], "alpha": 0.7, "extent": 0.4}
                row |= {"style": "3-0-1" if index % 2 else "bare", "makeup": [worn] if index % 2 else []}
            if motion:
                row["edit"] = "pose"
            rows.append(row)
            landmarks = io.BytesIO()
            np.save(landmarks, rng.uniform(30, 98, (68, 2)).astype(np.float32))
            parsing = np.zeros((SIZE, SIZE), np.uint8)
            parsing[30:100, 30:100], parsing[50:56, 45:55], parsing[60:75, 58:70] = 1, 4, 10
            flow = np.zeros((SIZE, SIZE, 2), np.float32)
            flow[30:100, 30:100] = (-1, -2) if index % 2 else (1, 2)
            files = {"flow.png": encode_flow(flow, parsing > 0)} if motion else {}
            files |= {
                "png": png(rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)),
                "parsing.png": png(parsing),
                "landmarks.npy": landmarks.getvalue(),
                "json": json.dumps(row).encode(),
                "spec.json": spec.model_dump_json().encode(),
            }
            for extension, content in files.items():
                member = tarfile.TarInfo(f"{row['key']}.{extension}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    _write_parquet(folder / "heads-00000.parquet", rows)
    (folder / "heads-00000.json").write_text(json.dumps({"count": 8, "sha256": "made up"}))
    return folder


def png(array):
    """Bytes of a picture."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "png")
    return buffer.getvalue()


def one_loss(task, count=4, step=0):
    """Take one loss of a task and its gradients; returns the model and the dataset."""
    torch.manual_seed(0)
    model, data = task.build(), task.dataset()
    batch = default_collate(
        [task.sample(data, index, np.random.default_rng(index)) for index in range(count)]
    )
    loss, metrics = task.loss(model, batch, Draws(0, range(count), step))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(value) for value in metrics.values())
    return model, data


def reached(module):
    """Names of the parameters that gradients reached."""
    return {name for name, p in module.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
