"""Lightning module: training step, validation and optimiser."""

from __future__ import annotations

from typing import Any

import lightning
import torch
from torch import Tensor
from torch.optim import SGD, Adam, Adamax, AdamW, NAdam, Optimizer
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau

from napari_tumorseg.errors import ModelError
from napari_tumorseg.models.architectures import make_network
from napari_tumorseg.training.data import Batch
from napari_tumorseg.training.losses import Loss
from napari_tumorseg.training.muon import Muon, split_parameters
from napari_tumorseg.training.pretrained import imagenet_weights
from napari_tumorseg.training.recipe import Recipe


class SegmentationModule(lightning.LightningModule):
    """Network in training as a recipe states it.

    Parameters
    ----------
    recipe : Recipe
        Recipe of the training.
    known : (cases, outputs) Tensor of bool
        Outputs that the reference of each validation case knows; false for other cases.
    steps : int
        Steps of the whole training, for the schedules.
    """

    def __init__(self, recipe: Recipe, known: Tensor, steps: int) -> None:
        super().__init__()
        self.recipe = recipe
        self.known = known
        self.steps = steps
        self.net = make_network(recipe.network.architecture, recipe.arguments)
        if recipe.fit.init == "he":
            self.net.init_he()
        elif recipe.fit.init == "imagenet":
            self.net.load_encoder(imagenet_weights())
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.loss = Loss(recipe.loss, recipe.output.activation)
        self._counts = torch.zeros(3, *known.shape, dtype=torch.float64)  # both, predicted, reference
        self._loss_sum = torch.zeros(2, dtype=torch.float64)  # sum, slices

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.net(x.to(memory_format=torch.channels_last))
        return logits

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed dropout by the step, so that a resumed training gets the same values."""
        torch.manual_seed(self.recipe.fit.seed * 1_000_003 + self.global_step * 64 + self.global_rank)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch.

        Raises
        ------
        ModelError
            If it is not finite.
        """
        loss: Tensor = self.loss(self(batch["image"]), batch["target"], batch["known"])
        if not loss.isfinite():
            raise ModelError(
                f"training diverged: the loss of step {self.global_step + 1} is {float(loss.detach())}; "
                "lower optimiser.lr or set optimiser.clip_norm, and start again"
            )
        self.log(
            "train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch["image"]), sync_dist=True
        )
        return loss

    def on_validation_epoch_start(self) -> None:
        """Reset the counts."""
        self._counts.zero_()
        self._loss_sum.zero_()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count the voxels of a batch by case."""
        logits = self(batch["image"])
        loss = self.loss(logits, batch["target"], batch["known"])
        size = len(logits)
        self._loss_sum += torch.tensor([float(loss) * size, size], dtype=torch.float64)
        found, wanted = self._decide(logits), batch["target"] > 0.5
        found = found & batch["known"][:, :, None, None]
        wanted = wanted & batch["known"][:, :, None, None]
        sums = torch.stack([(found & wanted).sum((2, 3)), found.sum((2, 3)), wanted.sum((2, 3))])
        self._counts.index_add_(1, batch["case"].cpu(), sums.double().cpu())

    def on_validation_epoch_end(self) -> None:
        """Log the loss and the Dice of known outputs: of all voxels together, and its mean over cases."""
        counts = self._over_devices(self._counts)
        total, slices = self._over_devices(self._loss_sum)
        start = 1 if self.recipe.output.activation == "softmax" else 0  # without the background
        known = self.known[:, start:]
        pooled = _dice(counts.sum(dim=1))[start:][known.any(dim=0)]
        per_case = (_dice(counts)[:, start:] * known).sum(dim=1) / known.sum(dim=1)  # NaN where none is known
        self.log("val_loss", float(total / slices.clamp(min=1)), prog_bar=True)
        self.log("val_dice", float(pooled.mean()), prog_bar=True)
        self.log("val_dice_case", float(per_case.nanmean()))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Record the number of devices, which determines the batches."""
        checkpoint["devices"] = self.trainer.world_size

    def configure_optimizers(self) -> Any:
        """Return optimiser and schedule of the recipe."""
        optimiser = self._optimiser()
        wanted = self.recipe.schedule
        if wanted.kind == "one-cycle":
            steps = max(self.steps, 4)
            cycle = OneCycleLR(
                optimiser,
                [group["lr"] for group in optimiser.param_groups],
                total_steps=steps,
                pct_start=max(wanted.warm_up, 1.5 / steps),  # torch divides by the warm-up's steps minus one
                cycle_momentum=self.recipe.optimiser.name != "muon",
            )
            return {"optimizer": optimiser, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}
        if wanted.kind == "plateau":
            plateau = ReduceLROnPlateau(
                optimiser,
                factor=wanted.factor,
                patience=wanted.patience - 1
                if wanted.patience
                else 0,  # Keras acts on the n-th, torch after it
                min_lr=wanted.min_lr,
                threshold=1e-4,
                threshold_mode="abs",
            )
            # by steps, since Lightning steps by epochs only after the checkpoint is written
            after = {"interval": "step", "frequency": self.steps // self.recipe.fit.epochs}
            schedule = {"scheduler": plateau, "monitor": "val_loss", **after}
            return {"optimizer": optimiser, "lr_scheduler": schedule}
        return optimiser

    def _optimiser(self) -> Optimizer:
        wanted, decay = self.recipe.optimiser, self.recipe.optimiser.weight_decay
        if wanted.name == "muon":
            parts = split_parameters(self.net)
            rates = (wanted.lr, wanted.rest_lr, wanted.encoder_lr or wanted.rest_lr)
            return Muon(*parts, *rates, wanted.momentum, decay)
        encoder = list(self.net.encoder_parameters())
        known = {id(weight) for weight in encoder}
        others = [weight for weight in self.net.parameters() if id(weight) not in known]
        weights: list[dict[str, Any]] = [{"params": others, "lr": wanted.lr}]
        if encoder:
            weights.append({"params": encoder, "lr": wanted.encoder_lr or wanted.lr})
        if wanted.name == "sgd":
            return SGD(weights, wanted.lr, wanted.momentum, weight_decay=decay, nesterov=True)
        kinds: dict[str, Any] = {"adam": Adam, "adamw": AdamW, "nadam": NAdam, "adamax": Adamax}
        made: Optimizer = kinds[wanted.name](weights, lr=wanted.lr, eps=wanted.eps, weight_decay=decay)
        return made

    def _decide(self, logits: Tensor) -> Tensor:
        if self.recipe.output.activation == "softmax":
            chosen = logits.argmax(dim=1, keepdim=True)
            return torch.zeros_like(logits, dtype=torch.bool).scatter_(1, chosen, True)
        chance = self.recipe.output.threshold
        return logits > torch.logit(torch.tensor(chance)).item()

    def _over_devices(self, sums: Tensor) -> Tensor:
        if self.trainer.world_size == 1:
            return sums
        gathered = self.all_gather(sums.to(self.device))
        assert isinstance(gathered, Tensor)
        return gathered.sum(dim=0).cpu()


def _dice(counts: Tensor) -> Tensor:
    """Return Dice of (3, ...) counts: both, predicted, reference; 1 where both masks are empty."""
    both, predicted, reference = counts
    size = predicted + reference
    return torch.where(size > 0, 2 * both / size.clamp(min=1), torch.ones_like(size))
