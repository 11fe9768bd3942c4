"""Where a campaign runs: the device, worker processes, threads."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch

from designer.errors import InputError


@dataclass(frozen=True)
class Machine:
    """The `[machine]` table: where a campaign runs. Results do not depend on `workers`."""

    device: str = "auto"  # auto, cpu, cuda, cuda:N
    workers: int = 1  # processes that judge
    threads: int = 1  # of torch; small networks are slower on several

    def __post_init__(self) -> None:
        for name in ("workers", "threads"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}, expected at least 1")

    def resolve(self) -> torch.device:
        """Return the device; raises InputError for one that is not there."""
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if not re.fullmatch(r"cpu|cuda(:[0-9]+)?", self.device):
            raise InputError(f"device is {self.device!r}, expected auto, cpu, cuda or cuda:N")
        count = torch.cuda.device_count()
        kind, _, number = self.device.partition(":")
        if kind == "cuda" and int(number or 0) >= count:
            raise InputError(
                f"device {self.device!r} is not there ({count} GPUs); try --device cpu"
            )
        return torch.device(self.device)
