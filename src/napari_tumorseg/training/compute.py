"""Where a training runs: devices, machines, processes."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from napari_tumorseg.errors import DeviceError, Remedy
from napari_tumorseg.inference.predict import choose_device


@dataclass(frozen=True)
class ComputeSettings:
    """Where and how long a training runs; none of it changes what a recipe means.

    Attributes
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    devices, nodes : int
        How many devices on each of how many machines.
    workers : int
        Processes that prepare batches.
    max_steps : int
        Stop after so many steps; -1 goes to the end.
    progress : bool
        Whether to show how far it is.
    """

    device: str = "auto"
    devices: int = 1
    nodes: int = 1
    workers: int = 0
    max_steps: int = -1
    progress: bool = True

    @property
    def world(self) -> int:
        """Devices of all machines."""
        return self.devices * self.nodes

    def choose(self) -> tuple[str, list[int] | int]:
        """Return the kind of device and which or how many of it.

        Raises
        ------
        DeviceError
            If they are not there.
        """
        kind, _, number = choose_device(self.device).partition(":")
        there = {"cuda": torch.cuda.device_count(), "mps": 1}.get(kind)
        wanted = int(number) + 1 if number else self.devices
        if there is not None and wanted > there:
            raise DeviceError(
                f"{wanted} {kind} devices were asked for; {there} is available", remedy=Remedy.CHANGE_DEVICES
            )
        return kind, [int(number)] if number else self.devices


HERE = ComputeSettings()
"""One device of this computer."""


def is_first() -> bool:
    """Tell whether this is the first of several processes that were launched from outside."""
    return os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) == "0"
