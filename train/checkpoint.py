"""Checkpoints that are whole or absent: written to a temporary folder, flushed, renamed; the last few stay.

A folder checkpoints/step-00001000/ holds model.safetensors, ema.safetensors, optimizer.pt (read back with
weights_only=True), config.json and state.json. Sharded runs (FSDP2, DeepSpeed) keep model and optimizer in
accelerate's own format under sharded/ instead.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from safetensors.torch import load_file, load_model, save_file, save_model
from torch import nn

from train.ema import Ema

_NAME = re.compile(r"step-(\d{8})")


def is_sharded(accelerator: Accelerator) -> bool:
    """Tell whether no single process holds the whole model and optimizer."""
    return accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED)


def all_steps(folder: Path) -> list[int]:
    """Return the steps of the complete checkpoints in `folder`, ascending."""
    found = (_NAME.fullmatch(path.name) for path in folder.glob("step-*"))
    return sorted(int(match[1]) for match in found if match)


def latest(folder: Path) -> Path | None:
    """Return the checkpoint with the highest step, or None."""
    steps = all_steps(folder)
    return folder / f"step-{steps[-1]:08d}" if steps else None


def save(
    folder: Path,
    state: Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    accelerator: Accelerator,
    model: nn.Module,
    optimizer: Any,
    ema: Ema | None,
    keep: int,
) -> Path:
    """Write the checkpoint of step `state["step"]`, drop all but the last `keep`; every process calls it."""
    final = folder / f"step-{state['step']:08d}"
    temporary = folder / f".{final.name}.partial"
    if accelerator.is_main_process:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    accelerator.wait_for_everyone()
    average = ema.state_dict() if ema else None
    if is_sharded(accelerator):
        accelerator.save_state(str(temporary / "sharded"))
    if accelerator.is_main_process:
        if not is_sharded(accelerator):
            save_model(model, str(temporary / "model.safetensors"))
            scaler = accelerator.scaler.state_dict() if accelerator.scaler else {}
            torch.save({"optimizer": optimizer.state_dict(), "scaler": scaler}, temporary / "optimizer.pt")
        if average is not None:
            save_file(
                {name: value.contiguous() for name, value in average.items()}, temporary / "ema.safetensors"
            )
        (temporary / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        (temporary / "state.json").write_text(json.dumps(state, indent=2) + "\n")
        publish(temporary, final)
        prune(folder, keep)
    accelerator.wait_for_everyone()
    return final


def load(
    checkpoint: Path, *, accelerator: Accelerator, model: nn.Module, optimizer: Any, ema: Ema | None
) -> dict[str, Any]:
    """Restore weights, average, optimizer and loss scale in place; return the state that was saved."""
    if is_sharded(accelerator) != (checkpoint / "sharded").exists():
        raise ValueError(
            f"{checkpoint}: a sharded run (FSDP2, DeepSpeed) resumes only from a sharded checkpoint and "
            "a plain run only from a plain one; resume with the launcher that wrote it"
        )
    if is_sharded(accelerator):
        accelerator.load_state(str(checkpoint / "sharded"))
    else:
        load_model(model, str(checkpoint / "model.safetensors"))
        saved = torch.load(checkpoint / "optimizer.pt", map_location="cpu", weights_only=True)
        optimizer.load_state_dict(saved["optimizer"])
        if accelerator.scaler and saved["scaler"]:
            accelerator.scaler.load_state_dict(saved["scaler"])
    if ema:
        if (checkpoint / "ema.safetensors").exists():
            ema.load_state_dict(load_file(checkpoint / "ema.safetensors"))
        else:
            ema.reset()  # the average was turned on when resuming: it starts from the trained weights
    return json.loads((checkpoint / "state.json").read_text())


def publish(temporary: Path, final: Path) -> None:
    """Flush every file of `temporary` to disk and rename it to `final`, replacing what is there."""
    for path in temporary.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    if final.exists():
        shutil.rmtree(final)
    os.replace(temporary, final)


def prune(folder: Path, keep: int) -> None:
    """Remove all but the last `keep` checkpoints, and what a kill left half written."""
    for step in all_steps(folder)[:-keep]:
        shutil.rmtree(folder / f"step-{step:08d}")
    for path in folder.glob(".step-*.partial"):
        shutil.rmtree(path, ignore_errors=True)
