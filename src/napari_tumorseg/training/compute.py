"""Computing resources of a training: devices, machines, worker processes."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from napari_tumorseg.errors import DeviceError, Remedy
from napari_tumorseg.inference.predict import choose_device


@dataclass(frozen=True)
class ComputeSettings:
    """Computing resources of a training; they do not change the meaning of a recipe.

    Attributes
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    devices, nodes : int
        Number of devices on each machine, and number of machines.
    workers : int
        Number of processes that prepare batches.
    max_steps : int
        Number of steps after which to stop; -1 trains to the end.
    progress : bool
        Whether to show progress.
    """

    device: str = "auto"
    devices: int = 1
    nodes: int = 1
    workers: int = 0
    max_steps: int = -1
    progress: bool = True

    @property
    def world(self) -> int:
        """Number of devices of all machines."""
        return self.devices * self.nodes

    def choose(self) -> tuple[str, list[int] | int]:
        """Return the kind of device, and the number or indices of devices to use.

        Raises
        ------
        DeviceError
            If they are not available.
        """
        kind, _, number = choose_device(self.device).partition(":")
        available = {"cuda": torch.cuda.device_count(), "mps": 1}.get(kind)
        wanted = int(number) + 1 if number else self.devices
        if available is not None and wanted > available:
            raise DeviceError(
                f"{wanted} {kind} devices were asked for; {available} is available",
                remedy=Remedy.CHANGE_DEVICES,
            )
        return kind, [int(number)] if number else self.devices


HERE = ComputeSettings()
"""One device of this computer."""


def is_first() -> bool:
    """Return whether this is the first of several processes started by a launcher."""
    return os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) == "0"
