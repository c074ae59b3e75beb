"""Reference results: returns, seeds, steps and steps per second, beside JaxMARL's own IPPO script.

``python -m benchmarks.reference [--jaxmarl CHECKOUT] [--json PATH] [--steps N] [--seeds S]``

Cooperative navigation of three agents with five discrete actions, PPO with the parameters shared
and the hyper-parameters of JaxMARL's ``ippo_ff_mpe.yaml``, in three forms: JaxMARL's script on
JaxMARL's environment, our PPO on JaxMARL's environment, our PPO on ours. The first two need JaxMARL
installed, the first also a checkout of its repository, whose script is loaded and trained as it is
(logging switched off). Random moves earn the same in both environments, which is printed. Then PPO
and SAC on the pendulum.

A return is one agent's reward summed over an episode, mean over agents and over the episodes that
ended in the last tenth of the training, while it still explores. Forms take turns, seed by seed;
a rate is the median over seeds, and compilation is apart.
"""

import argparse
import importlib.util
import json
import statistics
import sys
import time
import types
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm import envs, rl
from jaxswarm.envs.environment import discrete_actions
from jaxswarm.rollout import rollout

Row = dict[str, Any]
# ippo_ff_mpe.yaml
NUM_ENVS, NUM_STEPS, EPOCHS, MINIBATCHES = 16, 128, 4, 4
NUMBERS = rl.PPOParameters(lr=2.5e-4, value_clip=0.2, entropy=0.01)
WAYS = ((0.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))


class Training(NamedTuple):
    """One implementation of one setting.

    Attributes:
        name: of the implementation.
        train: ``train(key) -> returns float32[I]`` of one seed, ``I`` iterations in order.
        steps: of the environment, per seed.
        random: return of random moves, or ``None``.
    """

    name: str
    train: Callable[[jax.Array], jax.Array]
    steps: int
    random: float | None = None


class FiveWays(envs.SimpleSpread):
    """Cooperative navigation with JaxMARL's discrete actions: rest, left, right, down, up."""

    @cached_property
    def action_spec(self) -> Any:
        """``int32[N]`` below 5."""
        return discrete_actions(self.num_agents, len(WAYS))

    def advance(self, key: jax.Array, world: Any, action: jax.Array, params: Any) -> Any:
        """A full push in the chosen direction."""
        return super().advance(key, world, jnp.array(WAYS)[action], params)


def spread(steps: int, jaxmarl: Path | None) -> Iterator[tuple[str, list[Training]]]:
    """Cooperative navigation, three agents."""
    forms = [_ours("jaxswarm", FiveWays(3), steps)]
    if importlib.util.find_spec("jaxmarl") is not None:
        from jaxmarl import make  # pyright: ignore[reportMissingImports]

        theirs = envs.from_jaxmarl(make("MPE_simple_spread_v3"))
        forms.append(_ours("jaxswarm, JaxMARL's world", theirs, steps))
        if jaxmarl is not None:
            forms.append(_script(jaxmarl, steps))
    yield "simple_spread, 3 agents", forms


def pendulum(steps: int, jaxmarl: Path | None) -> Iterator[tuple[str, list[Training]]]:
    """One pendulum per learner, episodes of 200 steps: PPO, and SAC on a tenth of the steps."""
    del jaxmarl
    env = envs.Pendulum(num_agents=1)
    yield (
        "pendulum",
        [_ppo_on_pendulum(env, steps), _sac_on_pendulum(env, max(steps // 10, 2_000))],
    )


SECTIONS: dict[str, Callable[[int, Path | None], Iterator[tuple[str, list[Training]]]]] = {
    "spread": spread,
    "pendulum": pendulum,
}


def _ours(name: str, env: Any, steps: int) -> Training:
    iterations = max(steps // (NUM_ENVS * NUM_STEPS), 1)
    network = rl.network_for(env, widths=(64, 64))
    updates = EPOCHS * MINIBATCHES
    optimizer = optax.chain(
        optax.clip_by_global_norm(0.5),
        optax.scale_by_adam(eps=1e-5),
        optax.scale_by_schedule(lambda count: 1.0 - (jnp.asarray(count) // updates) / iterations),
    )
    learner = rl.ppo(
        env,
        network,
        num_envs=NUM_ENVS,
        num_steps=NUM_STEPS,
        epochs=EPOCHS,
        minibatches=MINIBATCHES,
        optimizer=optimizer,
        parameters=NUMBERS,
    )
    train = _returns_of(env, network, learner, iterations)
    return Training(name, train, iterations * NUM_ENVS * NUM_STEPS, _by_chance(env))


def _returns_of(env: Any, network: Any, learner: Any, iterations: int) -> Callable[..., Any]:
    def train(key: jax.Array) -> jax.Array:
        init_key, start_key, run_key = jax.random.split(key, 3)
        params = rl.initialize(init_key, network, env.num_agents, shared=True)
        _, records = rollout(learner.step, learner.init(params, start_key), iterations, key=run_key)
        return jnp.mean(records.info.finished.episode_return, axis=1)

    return train


def _by_chance(env: Any) -> float:
    play = envs.random_policy(env.action_spec)
    run = jax.jit(lambda key: jnp.mean(rl.evaluate(env, play, key, 2_000)))
    return float(run(jax.random.key(0)))


def _ppo_on_pendulum(env: Any, steps: int) -> Training:
    iterations = max(steps // (16 * 200), 1)
    network = rl.network_for(env, widths=(64, 64))
    numbers = rl.PPOParameters(lr=1e-3, discount=0.95, gae_lambda=0.95)
    learner = rl.ppo(
        env, network, num_envs=16, num_steps=200, epochs=10, minibatches=8, parameters=numbers
    )
    train = _returns_of(env, network, learner, iterations)
    return Training("jaxswarm PPO", train, iterations * 16 * 200, _by_chance(env))


def _sac_on_pendulum(env: Any, steps: int) -> Training:
    network = rl.q_network_for(env, widths=(64, 64))
    numbers = rl.SACParameters(actor_lr=1e-3, critic_lr=1e-3, temperature_lr=1e-3)
    learner = rl.sac(env, network, parameters=numbers)

    def train(key: jax.Array) -> jax.Array:
        init_key, start_key, run_key = jax.random.split(key, 3)
        params = rl.initialize(init_key, network, 1, shared=True)
        state = learner.init(params, start_key)
        _, records = rollout(learner.step, state, steps, key=run_key, every=200)
        return jnp.mean(records.info.finished.episode_return, axis=1)

    return Training("jaxswarm SAC", train, steps)


def _script(checkout: Path, steps: int) -> Training:
    """JaxMARL's ``ippo_ff_mpe.py`` as it is, in a checkout of its repository."""
    path = checkout / "baselines" / "IPPO" / "ippo_ff_mpe.py"
    if not path.exists():
        raise ValueError(f"--jaxmarl: expected a checkout with {path}")
    for absent in ("wandb", "hydra", "omegaconf"):  # logging and its command line, not used here
        if importlib.util.find_spec(absent) is None:
            sys.modules[absent] = _blank(absent)
    sys.modules["wandb"] = _blank("wandb")
    spec = importlib.util.spec_from_file_location("ippo_ff_mpe", path)
    assert spec is not None
    assert spec.loader is not None
    script: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    iterations = max(steps // (NUM_ENVS * NUM_STEPS), 1)
    config = {
        "LR": NUMBERS.lr, "NUM_ENVS": NUM_ENVS, "NUM_STEPS": NUM_STEPS,
        "TOTAL_TIMESTEPS": iterations * NUM_ENVS * NUM_STEPS, "UPDATE_EPOCHS": EPOCHS,
        "NUM_MINIBATCHES": MINIBATCHES, "GAMMA": NUMBERS.discount,
        "GAE_LAMBDA": NUMBERS.gae_lambda, "CLIP_EPS": NUMBERS.clip, "ENT_COEF": NUMBERS.entropy,
        "VF_COEF": NUMBERS.value_weight, "MAX_GRAD_NORM": 0.5, "ACTIVATION": "tanh",
        "ENV_NAME": "MPE_simple_spread_v3", "ENV_KWARGS": {}, "ANNEAL_LR": True,
    }  # fmt: skip
    # A callback to the host in every update would time the log, and can wait for ever on two cores.
    silent = types.SimpleNamespace(io_callback=lambda *_: None)
    script.jax = _Overlay(jax, experimental=silent)
    whole = script.make_train(config)

    def train(key: jax.Array) -> jax.Array:
        # Its log multiplies rewards by the number of agents.
        return whole(key)["metrics"]["returned_episode_returns"] / 3

    return Training("JaxMARL's script", train, config["TOTAL_TIMESTEPS"])


class _Overlay:
    """A module with some of its attributes replaced."""

    def __init__(self, module: Any, **replaced: Any):
        self._module, self._replaced = module, replaced

    def __getattr__(self, name: str) -> Any:
        return self._replaced[name] if name in self._replaced else getattr(self._module, name)


def _blank(name: str) -> types.ModuleType:
    """A stand-in for a module of which nothing is wanted."""
    module: Any = types.ModuleType(name)
    module.log = lambda *_, **__: None
    module.main = lambda *_, **__: lambda function: function
    module.OmegaConf = None
    return module


def measure(forms: Sequence[Training], seeds: int) -> list[Row]:
    """A row for each form; forms take turns, seed by seed."""
    keys = jax.random.split(jax.random.key(0), seeds)
    programs, compiled = [], []
    for form in forms:
        began = time.perf_counter()
        programs.append(jax.jit(form.train).lower(keys[0]).compile())
        compiled.append(time.perf_counter() - began)
    returns: list[list[float]] = [[] for _ in forms]
    seconds: list[list[float]] = [[] for _ in forms]
    for key in keys:
        for turn, program in enumerate(programs):
            began = time.perf_counter()
            each = np.asarray(program(key))
            seconds[turn].append(time.perf_counter() - began)
            last = each[-max(len(each) // 10, 1) :]
            returns[turn].append(float(np.mean(last[last != 0.0])))  # 0: no episode ended
    return [
        {
            "impl": form.name,
            "returns": own,
            "median_return": statistics.median(own),
            "steps": form.steps,
            "seeds": seeds,
            "steps_per_s": form.steps / statistics.median(took),
            "compile_s": compile_s,
            "random": form.random,
        }
        for form, own, took, compile_s in zip(forms, returns, seconds, compiled, strict=True)
    ]


def run(
    sections: Sequence[str], *, steps: int = 499_712, seeds: int = 5, jaxmarl: Path | None = None
) -> dict[str, Any]:
    """All rows: what ``--json`` writes."""
    device = jax.devices()[0]
    found: dict[str, Any] = {"jax": jax.__version__, "device": device.device_kind, "rows": []}
    for section in sections:
        for setting, forms in SECTIONS[section](steps, jaxmarl):
            rows = measure(forms, seeds)
            for row in rows:
                row |= {"setting": setting}
            found["rows"] += rows
            print(table(rows), flush=True)
    return found


def table(rows: Sequence[Row]) -> str:
    """Rows for people."""
    return "\n".join(
        f"{row['setting']:24} {row['impl']:26} return {row['median_return']:8.2f} "
        f"({min(row['returns']):.2f} to {max(row['returns']):.2f}, {row['seeds']} seeds, "
        f"{row['steps']:,} steps) {row['steps_per_s']:>9,.0f} steps/s "
        f"{row['compile_s']:6.1f} s to compile"
        + ("" if row["random"] is None else f"   random {row['random']:.2f}")
        for row in rows
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jaxmarl", type=Path, help="a checkout of JaxMARL's repository")
    parser.add_argument("--json", type=Path, help="write all rows there")
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), default=list(SECTIONS))
    parser.add_argument("--steps", type=int, default=499_712, help="of the environment, per seed")
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args(arguments)
    found = run(given.only, steps=given.steps, seeds=given.seeds, jaxmarl=given.jaxmarl)
    if given.json is not None:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(found, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
