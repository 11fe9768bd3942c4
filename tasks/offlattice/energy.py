"""Energies of the off-lattice AB model (Stillinger, Head-Gordon and Hirshfeld 1993), in torch.

    E = 1/4 sum (1 - cos theta) + 4 sum (r^-12 - C r^-6)

over all residues two or more apart along the chain; C is 1 for AA, 1/2 for BB, -1/2 for AB; bonds
have length 1. Three models share that formula, and **their energies are not comparable**:

    2d          in the plane; theta is the angle between successive bonds
    3d-angle    in space; theta is the angle between successive bonds, and a torsion follows each
    3d-azimuth  in space; bonds are written as azimuth theta and elevation beta, and the bending
                term reads *the azimuth* (Boskovic and Brest 2018 and others; not a bond angle)

`angles` [..., L - 2, K] holds theta and, in space, the torsion or elevation (K is 1 or 2); the
first row's second number is not used. Everything is differentiable and batched.
"""

from __future__ import annotations

import torch
from torch import Tensor

from designer.errors import InputError, nearest

MODELS = {"2d": 1, "3d-angle": 2, "3d-azimuth": 2}  # and how many numbers a choice has
SMALLEST = 1e-2  # of a squared distance: closer residues push as if at 0.1 bonds, and stay finite


def model_named(name: str) -> str:
    """Return the name if it is a model's; raises InputError."""
    if name not in MODELS:
        raise InputError(f"unknown model {name!r}; {nearest(name, MODELS)}")
    return name


def energy(angles: Tensor, sequence: str, model: str) -> Tensor:
    """Return [...] the energies, in the dtype of `angles`."""
    theta = angles[..., 0]
    bending = 0.25 * (1.0 - theta.cos()).sum(-1)
    return bending + attraction(positions(angles, model), sequence)


def attraction(points: Tensor, sequence: str) -> Tensor:
    """Return [...] 4 sum (r^-12 - C r^-6) over pairs of points [..., L, D] two or more apart."""
    first, second, strength = _pairs(sequence, points)
    apart = points[..., first, :] - points[..., second, :]
    inverse = apart.square().sum(-1).clamp_min(SMALLEST).reciprocal()
    sixth = inverse * inverse * inverse
    return 4.0 * (sixth * (sixth - strength)).sum(-1)


def positions(angles: Tensor, model: str) -> Tensor:
    """Return [..., L, D] where the residues are; the first is the origin, D is 2 or 3."""
    bonds = {"2d": _plane, "3d-angle": _turned, "3d-azimuth": _written}[model_named(model)](angles)
    return torch.cat([torch.zeros_like(bonds[..., :1, :]), bonds.cumsum(-2)], dim=-2)


def score(energies: Tensor) -> Tensor:
    """Return [...] what is maximised: -E below zero, -log(1 + E) above; smooth, of sane size."""
    return torch.where(energies < 0, -energies, -energies.clamp_min(0.0).log1p())


def _plane(angles: Tensor) -> Tensor:
    theta = angles[..., 0].cumsum(-1)
    heading = torch.cat([torch.zeros_like(theta[..., :1]), theta], dim=-1)
    return torch.stack([heading.cos(), heading.sin()], dim=-1)


def _turned(angles: Tensor) -> Tensor:
    """Return bonds by bond angle and torsion: each turns the frame of the one before."""
    theta, phi = angles[..., 0], angles[..., 1]
    like = angles[..., 0, :1]
    unit = torch.eye(3, dtype=angles.dtype, device=angles.device)
    along, normal, other = (unit[i].expand(*like.shape[:-1], 3) for i in range(3))
    bonds = [along]
    for t in range(angles.shape[-2]):
        turn, twist = theta[..., t, None], phi[..., t, None]
        if t == 0:
            twist = torch.zeros_like(twist)
        aside = twist.cos() * normal + twist.sin() * other
        other = twist.cos() * other - twist.sin() * normal
        along, normal = (
            turn.cos() * along + turn.sin() * aside,
            turn.cos() * aside - turn.sin() * along,
        )
        bonds.append(along)
    return torch.stack(bonds, dim=-2)


def _written(angles: Tensor) -> Tensor:
    """Return bonds by azimuth and elevation; the first is (0, 1, 0), the second lies flat."""
    theta, beta = angles[..., 0], angles[..., 1]
    beta = torch.cat([torch.zeros_like(beta[..., :1]), beta[..., 1:]], dim=-1)
    flat = beta.cos()
    bonds = torch.stack([theta.cos() * flat, theta.sin() * flat, beta.sin()], dim=-1)
    first = torch.tensor([0.0, 1.0, 0.0], dtype=angles.dtype, device=angles.device)
    return torch.cat([first.expand_as(bonds[..., :1, :]), bonds], dim=-2)


def _pairs(sequence: str, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    length = len(sequence)
    first, second = torch.triu_indices(length, length, 2, device=like.device)
    kinds = torch.tensor([letter == "A" for letter in sequence], device=like.device)
    a, b = kinds[first], kinds[second]
    strength = torch.where(a & b, 1.0, torch.where(a ^ b, -0.5, 0.5))
    return first, second, strength.to(like.dtype)
