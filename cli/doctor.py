"""`designer doctor`: what this installation consists of, and whether it works."""

from __future__ import annotations

import os
import platform
import sqlite3
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files

PACKAGES = ("torch", "numpy", "rdkit", "sympy", "scikit-learn", "pydantic", "safetensors", "skops")


def doctor() -> None:
    """Print versions and devices, then try a step of each shipped campaign."""
    import torch

    from designer import __version__

    print(f"designer {__version__}, Python {platform.python_version()}, {platform.platform()}")
    print(", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    print(f"sqlite {sqlite3.sqlite_version}, {os.cpu_count()} CPU cores")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    print("GPUs: " + (", ".join(gpus) or "none; campaigns run on the CPU"))
    print(f"data: {files('data')}")
    _try_campaigns()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _try_campaigns() -> None:
    from cli.build import build
    from cli.presets import KINDS, shipped

    for kind in KINDS:
        campaign = build(shipped(kind)).campaign()
        batch = campaign.ask()
        metrics = campaign.tell(batch, campaign.judge(batch))
        print(f"{kind}: a step works, {metrics['valid']:.0%} of {batch.sampled} designs valid")
