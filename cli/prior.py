"""The `[prior]` table: a policy to start from and to stay near to.

It is the policy of an earlier run, or one that `designer prior train` taught: a directory with
`prior.json` (what it is) and `prior.safetensors` (its weights).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from designer import checkpoint
from designer.config import Document
from designer.errors import InputError, nearest
from designer.files import SHIPPED

if TYPE_CHECKING:
    from designer.policy import RecurrentPolicy
    from tasks.molecules.smiles import Smiles

ABOUT, WEIGHTS = "prior.json", "prior.safetensors"
MAX_BYTES = 1 << 28  # of the weights


@dataclass(frozen=True)
class Prior:
    """The policy that an earlier run learned, or that `designer prior train` taught.

    `run` is a directory, or the name of a prior that is shipped. A taught prior brings its
    `[task]` and `[policy]` tables; those of an earlier run must agree with this one's.
    """

    run: Path  # the directory
    start: bool = True  # whether this run's policy begins as a copy of it

    @property
    def file(self) -> Path:
        """The file of weights that is read."""
        folder = find(self.run)
        return folder / (WEIGHTS if (folder / ABOUT).is_file() else checkpoint.NAME)

    def load(self, policy: torch.nn.Module) -> Any:
        """Return a frozen copy of `policy` with the prior's weights; see `start`."""
        weights = self._weights()
        prior = copy.deepcopy(policy)
        try:
            prior.load_state_dict(weights)
        except RuntimeError as problem:
            what = str(problem).splitlines()[-1].strip()
            raise InputError(
                f"run {str(self.run)!r} has another kind of policy ({what}); take the same task "
                "and the same [policy] table"
            ) from None
        if self.start:
            policy.load_state_dict(weights)
        return prior.requires_grad_(False)

    def _weights(self) -> dict[str, torch.Tensor]:
        folder = find(self.run)
        if (folder / ABOUT).is_file():
            return weights(folder)
        state = checkpoint.load(folder) if folder.is_dir() else None
        if state is None:
            raise InputError(
                f"run {str(self.run)!r} has no checkpoint; name the directory of a run, or of a "
                "prior that `designer prior train` made"
            )
        return {
            name.removeprefix("policy."): value
            for name, value in state["learner"].items()
            if name.startswith("policy.")
        }


def find(place: Path) -> Path:
    """Return the directory of a prior: the given one, or a shipped one of that name."""
    shipped, name = Path(str(files("data"))) / "priors", place.name.removeprefix(SHIPPED)
    if (place.exists() and name == place.name) or len(place.parts) != 1:
        return place
    known = sorted(path.parent.name for path in shipped.glob(f"*/{ABOUT}"))
    if name in known:
        return shipped / name
    hint = f"; {nearest(name, known)}" if known else ""
    text = "there is no such directory, and no prior of that name is shipped"
    raise InputError(f"{str(place)!r} has no checkpoint: {text}{hint}")


def about(folder: Path) -> dict[str, Any]:
    """Return what `prior.json` says; raises InputError where it is no such file."""
    try:
        found = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        if not all(isinstance(found[name], dict) for name in ("task", "policy")):
            raise TypeError
        return dict(found)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{folder}: no prior there (no {ABOUT})") from None
    except (KeyError, TypeError):
        text = "says no task or no policy; `designer prior train` writes it"
        raise InputError(f"{folder / ABOUT}: {text}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / ABOUT}: cannot be read ({error})") from None


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a taught prior's policy, by name."""
    return {
        name.removeprefix("policy."): value.float()
        for name, value in tensors(folder).items()
        if name.startswith("policy.")
    }


def settings(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments of `Smiles` that a prior of molecules was taught with."""
    return {k: v for k, v in facts["task"].items() if k not in ("kind", "representation")}


def network(folder: Path) -> tuple[Smiles, RecurrentPolicy]:
    """Return the environment and the policy of a taught prior of molecules.

    Raises InputError where its weights are of another network than it says.
    """
    from designer.policy import RecurrentPolicy
    from tasks.molecules.smiles import Smiles

    facts = about(folder)
    env = Smiles(**settings(facts))
    sizes = {k: v for k, v in facts["policy"].items() if k != "kind"}
    policy = RecurrentPolicy(env.obs_size, env.num_actions, **sizes)
    try:
        policy.load_state_dict(weights(folder))
    except RuntimeError as problem:
        what = str(problem).splitlines()[-1].strip()
        raise InputError(
            f"{folder}: its weights do not fit what it says it is ({what}); teach it anew"
        ) from None
    return env, policy


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """Return all tensors of a taught prior; raises InputError where the file is not intact."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / WEIGHTS
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: has more than {MAX_BYTES:,} bytes")
        return load_file(str(path))
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({error}); teach the prior anew") from None


def adapt(document: Document) -> None:
    """Take the task's and the policy's sizes from a taught prior that `[prior]` names.

    What the document says already must agree: raises ConfigError at the place where it does not.
    """
    place = document.table(("prior", "run"))
    if not isinstance(place, str):
        return
    with document.blamed(("prior",)):
        anchored = document.base / place
        folder = find(anchored if anchored.exists() else Path(place))
        if not (folder / ABOUT).is_file():
            return
        said = about(folder)
    for table in ("task", "policy"):
        _agree(document, table, said[table])
    own = anchored.exists() or Path(place).exists()
    kept = str(folder.resolve()) if own else f"{SHIPPED}{folder.name}"
    document.override(("prior", "run"), kept, document.place(("prior", "run")))


def _agree(document: Document, table: str, wanted: Mapping[str, Any]) -> None:
    for key, value in wanted.items():
        held = document.table((table, key))
        if held is None:
            document.override((table, key), value, f"the prior's {table}.{key}")
        elif held != value:
            shown = json.dumps(value)
            text = f"{table}.{key} is {json.dumps(held)[:60]}, but the prior was taught with "
            raise document.error((table, key), f"{text}{shown[:60]}; leave {table}.{key} out")
