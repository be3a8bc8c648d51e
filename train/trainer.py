"""The training loop. Device, precision and sharding are accelerate's; what is trained is the task's."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import DistributedType, send_to_device
from torch import nn

from train import card, checkpoint, launch, metrics, optimizer, order, throughput
from train.config import TrainConfig
from train.draws import Draws
from train.ema import Ema
from train.tasks import Batch, Task

logger = logging.getLogger(__name__)


class LossModule(nn.Module):
    """The loss as a module: its forward is the task's whole loss, so DDP and FSDP see one forward call."""

    def __init__(self, task: Task, model: nn.Module) -> None:
        super().__init__()
        self.task = task
        self.model = model

    def forward(self, batch: Batch, draws: Draws) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the loss and what to log."""
        return self.task.loss(self.model, batch, draws)


class Trainer:
    """One run: `Trainer(config, task).train()`. The run lives in `runs`/NAME.

    Args:
        config: The configuration; saved in the run folder and in every checkpoint.
        task: What is trained.
        runs: The folder of all runs.
        resume: Continue from the last checkpoint when there is one.
        cpu: Use the CPU even where an accelerator is present.
    """

    def __init__(
        self,
        config: TrainConfig,
        task: Task,
        *,
        runs: Path | str = "runs",
        resume: bool = False,
        cpu: bool = False,
    ) -> None:
        self.config, self.task = config, task
        self.folder = Path(runs) / config.name
        self.accelerator = launch.make_accelerator(config, self.folder, cpu)
        launch.require_whole_matrices(config, self.accelerator)
        self.share = order.Share(
            batch_size=config.batch_size,
            rank=self.accelerator.process_index,
            processes=self.accelerator.num_processes,
            accumulation=config.accumulation,
        )
        self.step_count, self.position = 0, 0
        self.meter = metrics.Meter()
        self.clock = launch.Clock(config, self.accelerator)
        self._saved_step = -1
        self._prepare_folder(resume)
        self._build()
        if resume and (found := checkpoint.latest(self.folder / "checkpoints")):
            self.load(found)

    def train(self) -> Path:
        """Train to the last step, or until the time limit or SIGTERM; return the run folder."""
        config = self.config
        self._start()
        with self.clock:
            stream = iter(self.loader(config.workers))
            while self.step_count < config.steps and not self.clock.stop:
                self.step(stream)
                is_log_step = self._is_every(config.log_every)
                if is_log_step:
                    self.log()
                if self._is_every(config.validate_every) and self.step_count < config.steps:
                    self.validate()
                if self.clock.poll(is_log_step) or self._is_every(config.checkpoint_steps):
                    self.save()
            self.save()
        if self.step_count >= config.steps:
            self.export(self.validate())
        else:
            self._say(f"stopped at step {self.step_count} of {config.steps}; continue with --resume")
        self.accelerator.end_training()
        return self.folder

    def step(self, stream: Iterator[Batch]) -> None:
        """Make one optimizer step. Waits for nothing on the device."""
        optimizer.set_learning_rates(self.optimizer, self.config, self.step_count)
        # Dropout and the like: a function of (seed, step, process), so there is no generator state to save.
        torch.manual_seed(_mix(self.config.seed, self.step_count, self.accelerator.process_index))
        for _ in range(self.config.accumulation):
            batch, draws = self.place(next(stream))
            with self.accelerator.accumulate(self.module):
                loss, values = self.module(batch, draws)
                self.accelerator.backward(loss)
            self.meter.add({"loss": loss, **values})
        self.meter.add(self._clip())
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.ema:
            self.ema.update(self.step_count)
        self.step_count += 1
        self.position += self.config.batch_size

    def log(self) -> None:
        """Write a row of means to metrics.jsonl and the trackers; end the run if the loss is not finite."""
        row = self.meter.means(self.accelerator)
        if not math.isfinite(row["loss"]):
            raise FloatingPointError(
                f"the loss is {row['loss']} at step {self.step_count}: lower optimizer.lr, lengthen "
                "optimizer.warmup or set mixed_precision=no, and --resume from the last checkpoint"
            )
        row |= {"lr": self.optimizer.param_groups[0]["lr"], "epoch": self.position / len(self.data)}
        row["samples_per_s"] = rate = self.clock.rate(self.position)
        if self.speed:
            row["share_of_peak"] = self.speed.share(rate / self.share.processes)
        left = (self.config.steps - self.step_count) * self.config.batch_size / rate / 60
        self._record("train", row, f", {left:.0f} min left")

    def validate(self) -> dict[str, float]:
        """Let the task measure the averaged weights and draw its pictures; return its numbers."""
        values: dict[str, float] = {}
        torch.manual_seed(self.config.seed)
        with (
            self.clock.pause(),
            self.evaluation_model() as model,
            torch.no_grad(),
            self.accelerator.autocast(),
        ):
            if self.accelerator.is_main_process:
                folder = self.folder / "samples"
                folder.mkdir(exist_ok=True)
                measured = self.task.validate(model, self.step_count, folder)
                values = {name: float(value) for name, value in measured.items()}
            self.accelerator.wait_for_everyone()
        self._record("validate", values)
        return values

    def export(self, values: dict[str, float] | None = None) -> Path:
        """Write the averaged weights and a model card to export/, whole or not at all; return that folder."""
        final, temporary = self.folder / "export", self.folder / ".export.partial"
        with self.evaluation_model() as model, torch.no_grad():
            if self.accelerator.is_main_process:
                shutil.rmtree(temporary, ignore_errors=True)
                temporary.mkdir(parents=True)
                self.task.export(model, temporary)
                text = card.model_card(self.config, self.task.card, self.step_count, values or {})
                (temporary / "README.md").write_text(text)
                checkpoint.publish(temporary, final)
        self.accelerator.wait_for_everyone()
        self._say(f"exported step {self.step_count} to {final}")
        return final

    def save(self) -> None:
        """Write a checkpoint of this step, once; weights that are not finite are not kept."""
        meter = self.meter.state(self.accelerator)
        if self._saved_step == self.step_count or not all(map(math.isfinite, meter["sums"].values())):
            return
        with self.clock.pause():
            checkpoint.save(
                self.folder / "checkpoints",
                {"step": self.step_count, "position": self.position, "meter": meter},
                self.config.to_dict(),
                accelerator=self.accelerator,
                model=self.model,
                optimizer=self.optimizer,
                ema=self.ema,
                keep=self.config.keep,
            )
        self._saved_step = self.step_count
        self.clock.saved()

    def load(self, folder: Path) -> None:
        """Continue from a checkpoint: the run goes on as if it had never stopped."""
        parts = {
            "accelerator": self.accelerator,
            "model": self.model,
            "optimizer": self.optimizer,
            "ema": self.ema,
        }
        state = checkpoint.load(folder, **parts)
        optimizer.restore_settings(self.optimizer, self.groups)
        self.step_count, self.position, self._saved_step = state["step"], state["position"], state["step"]
        self.meter.load(state["meter"], self.accelerator.device)
        if self.accelerator.is_main_process:
            metrics.truncate(self.folder / "metrics.jsonl", self.step_count)
        self._say(f"resumed from {folder}")

    @contextmanager
    def evaluation_model(self) -> Iterator[nn.Module]:
        """Yield the model in eval mode with the averaged weights; a sharded one is gathered into a copy."""
        if checkpoint.is_sharded(self.accelerator):
            yield self._gathered()
            return
        self.model.eval()
        try:
            with self.ema.applied() if self.ema else nullcontext():
                yield self.model
        finally:
            self.model.train()

    def _build(self) -> None:
        config, accelerator = self.config, self.accelerator
        torch.manual_seed(config.seed)
        self.model = self.task.build().train()
        if config.channels_last:
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if config.gradient_checkpointing:
            launch.enable_gradient_checkpointing(self.model)
        self.task.place(accelerator.device)
        with accelerator.main_process_first():  # it may write a cache that the others then read
            self.data = self.task.dataset()
        self.groups = optimizer.parameter_groups(self.task, self.model, config.optimizer)
        is_deepspeed = accelerator.distributed_type is DistributedType.DEEPSPEED
        if is_deepspeed:
            # DeepSpeed wants the size that the loader, which accelerate never sees, would have told it.
            accelerator.state.deepspeed_plugin.deepspeed_config["train_micro_batch_size_per_gpu"] = (
                self.share.part
            )
        self.loss_module = LossModule(self.task, self.model)
        adamw = optimizer.make_optimizer(self.groups, config.optimizer.kind, fused=not is_deepspeed)
        self.module, self.optimizer = accelerator.prepare(self.loss_module, adamw)
        self.ema = Ema(self.model, config.ema_decay) if config.ema_decay else None

    def _start(self) -> None:
        config = self.config
        self.speed = self.measure_speed() if config.measure_peak else None
        if config.trackers:
            self.accelerator.init_trackers(config.name, config={"config": str(config.to_dict())})
        parameters = sum(
            parameter.numel() for parameter in self.model.parameters() if parameter.requires_grad
        )
        self._say(
            f"{config.name}: {parameters / 1e6:.2f} M parameters, {len(self.data)} samples, "
            f"steps {self.step_count}..{config.steps} of {config.batch_size} samples "
            f"on {self.share.processes} x {self.accelerator.device}"
            + (f", {self.speed}" if self.speed else "")
        )
        self.clock.start(self.position)

    def measure_speed(self) -> throughput.Speed:
        """Count the work of one sample and measure the matmul peak of this process."""
        batch, draws = self.place(next(iter(self.loader(workers=0))))
        torch.manual_seed(self.config.seed)
        work = throughput.flops(self.loss_module, lambda: self.loss_module(batch, draws)[0])
        precision = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[
            self.config.mixed_precision
        ]
        peak = throughput.matmul_peak(self.accelerator.device, precision)
        return throughput.Speed(peak=peak, flops_per_sample=work / self.share.part)

    def loader(self, workers: int) -> Any:
        """Return the endless loader of this process's batches from the present position on."""
        return order.loader(self.task, self.data, self.config.seed, self.share, self.position, workers)

    def place(self, batch: Batch) -> tuple[Batch, Draws]:
        """Return a batch on the device and the draws of its samples."""
        positions = batch.pop("position").tolist()
        device = self.accelerator.device
        draws = Draws(self.config.seed, positions, self.step_count, device)
        return dict(send_to_device(batch, device, non_blocking=True)), draws

    def _clip(self) -> dict[str, torch.Tensor]:
        """Clip each parameter group apart; return the gradient norms."""
        if self.accelerator.distributed_type is DistributedType.DEEPSPEED:
            return {}  # its engine clips, by gradient_clipping in its own config
        self.accelerator.unscale_gradients()
        norms = {}
        groups = optimizer.by_name(self.optimizer)
        for name, parameters in groups.items():
            norm = torch.nn.utils.clip_grad_norm_(parameters, self.config.grad_clip or math.inf)
            key = "grad_norm" if len(groups) == 1 else f"grad_norm/{name}"
            norms[key] = norm.full_tensor() if hasattr(norm, "full_tensor") else norm  # type: ignore[operator]
        return norms

    def _gathered(self) -> nn.Module:
        whole = self.accelerator.get_state_dict(self.module) or {}
        state = {name.removeprefix("model."): value for name, value in whole.items()}
        state |= self.ema.state_dict() if self.ema else {}
        model = self.task.build()
        if self.accelerator.is_main_process:
            model.load_state_dict(state)
        return model.to(self.accelerator.device).eval()

    def _prepare_folder(self, resume: bool) -> None:
        steps = checkpoint.all_steps(self.folder / "checkpoints")
        if steps and not resume:
            raise FileExistsError(
                f"{self.folder} already holds a run at step {steps[-1]}: add --resume to continue it, or "
                "choose another name=NAME"
            )
        if self.accelerator.is_main_process:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.config.save(self.folder / "config.json")
            if not steps:
                (self.folder / "metrics.jsonl").unlink(missing_ok=True)
        self.accelerator.wait_for_everyone()

    def _is_every(self, steps: int) -> bool:
        return bool(steps) and self.step_count % steps == 0

    def _record(self, kind: str, row: dict[str, float], note: str = "") -> None:
        if self.accelerator.is_main_process:
            metrics.append(self.folder / "metrics.jsonl", {"step": self.step_count, "kind": kind, **row})
        if self.config.trackers:
            self.accelerator.log(
                {f"{kind}/{name}": value for name, value in row.items()}, step=self.step_count
            )
        values = ", ".join(f"{name} {value:.4g}" for name, value in row.items())
        self._say(f"{kind} {self.step_count}/{self.config.steps}: {values}{note}")

    def _say(self, text: str) -> None:
        if self.accelerator.is_main_process:
            logger.info(text)


def _mix(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
