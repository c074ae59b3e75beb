"""Others' training scripts, loaded from a checkout of their repository and trained as they are."""

import contextlib
import importlib.util
import sys
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.reference.ours import MAX_GRAD_NORM, Setting
from benchmarks.reference.training import Training

_BRAX = ("brax", "brax.envs", "brax.envs.wrappers", "brax.envs.wrappers.training")


def jaxmarl(checkout: Path, setting: Setting, steps: int) -> Training:
    """JaxMARL's ``ippo_ff_mpe.py``.

    Raises:
        ValueError: if it is not in ``checkout``.
    """
    path = checkout / "baselines" / "IPPO" / "ippo_ff_mpe.py"
    unused = [name for name in ("hydra", "omegaconf") if not installed(name)]
    script = _load("--jaxmarl", path, ["wandb", *unused])  # logging and the command line
    # A callback to the host in every update would time the log, and can wait for ever on two cores.
    silent = types.SimpleNamespace(io_callback=lambda *_: None)
    script.jax = _Overlay(jax, experimental=silent)
    config = _config(setting, steps, "MPE_simple_spread_v3", ENV_KWARGS={})
    whole = script.make_train(config)

    def train(key: jax.Array) -> jax.Array:
        # Its log multiplies rewards by the number of agents.
        return whole(key)["metrics"]["returned_episode_returns"] / 3

    return Training("JaxMARL's script", train, config["TOTAL_TIMESTEPS"])


def purejaxrl(checkout: Path, name: str, world: str, setting: Setting, steps: int) -> Training:
    """PureJaxRL's script ``name`` on the environment that it calls ``world``.

    Raises:
        ValueError: if it is not in ``checkout``.
    """
    # Its wrappers import more than either script uses.
    unused = ["navix", *(() if installed("brax") else _BRAX)]
    script = _load("--purejaxrl", checkout / "purejaxrl" / name, unused)
    config = _config(setting, steps, world, NORMALIZE_ENV=False)
    whole = script.make_train(config)

    def train(key: jax.Array) -> jax.Array:
        seen = whole(key)["metrics"]  # [I, T, E]
        ended = seen["returned_episode"]
        total = jnp.sum(jnp.where(ended, seen["returned_episode_returns"], 0.0), axis=(1, 2))
        return total / jnp.maximum(jnp.sum(ended, axis=(1, 2)), 1)

    return Training("PureJaxRL's script", train, config["TOTAL_TIMESTEPS"])


def installed(name: str) -> bool:
    """Whether a package could be imported."""
    return importlib.util.find_spec(name) is not None


def _config(setting: Setting, steps: int, world: str, **own: Any) -> dict[str, Any]:
    """The names that all scripts use, and a script's own."""
    hp = setting.hyperparameters
    return {
        "LR": hp.lr, "NUM_ENVS": setting.num_envs, "NUM_STEPS": setting.num_steps,
        "TOTAL_TIMESTEPS": setting.iterations(steps) * setting.num_envs * setting.num_steps,
        "UPDATE_EPOCHS": setting.epochs, "NUM_MINIBATCHES": setting.minibatches,
        "GAMMA": hp.discount, "GAE_LAMBDA": hp.gae_lambda, "CLIP_EPS": hp.clip,
        "ENT_COEF": hp.entropy, "VF_COEF": hp.value_weight,
        "MAX_GRAD_NORM": MAX_GRAD_NORM, "ACTIVATION": "tanh", "ENV_NAME": world,
        "ANNEAL_LR": setting.anneal, **own,
    }  # fmt: skip


def _load(option: str, path: Path, unused: Sequence[str]) -> Any:
    """A script as a module; it finds modules beside it, and blanks for what is not used."""
    if not path.exists():
        raise ValueError(f"{option}: expected a checkout with {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    beside = {other.stem for other in path.parent.glob("*.py")}
    with _modules({name: _Blank(name) for name in unused}, forgotten=beside):
        sys.path.insert(0, str(path.parent))
        try:
            spec.loader.exec_module(script)
        finally:
            sys.path.remove(str(path.parent))
    return script


@contextlib.contextmanager
def _modules(given: dict[str, types.ModuleType], forgotten: set[str]) -> Iterator[None]:
    """Modules under given names for a while; what is imported as ``forgotten`` goes with them."""
    before = {name: sys.modules.get(name) for name in (*given, *forgotten)}
    for name in forgotten:
        sys.modules.pop(name, None)
    sys.modules.update(given)
    try:
        yield
    finally:
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


class _Blank(types.ModuleType):
    """A stand-in for a module of which nothing is wanted."""

    def main(self, *_: Any, **__: Any) -> Any:
        """``hydra.main``, which decorates."""
        return lambda function: function

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: None


class _Overlay:
    """A module with some of its attributes replaced."""

    def __init__(self, module: Any, **replaced: Any):
        self._module, self._replaced = module, replaced

    def __getattr__(self, name: str) -> Any:
        return self._replaced[name] if name in self._replaced else getattr(self._module, name)
