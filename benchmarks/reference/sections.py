"""The trainings that are compared: environment, learner and hyperparameters of each section."""

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks.reference import ours, scripts
from benchmarks.reference.ours import Setting
from benchmarks.reference.scripts import installed
from benchmarks.reference.training import Training
from jaxswarm import envs, rl
from jaxswarm.envs.environment import discrete_actions

WAYS = ((0.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))
# ippo_ff_mpe.yaml of JaxMARL, and the configuration in PureJaxRL's ppo.py.
DISCRETE = rl.PPOHyperparameters(lr=2.5e-4, value_clip=0.2, entropy=0.01)
SPREAD = Setting(16, 128, 4, 4, DISCRETE)
CARTPOLE = Setting(4, 128, 4, 4, DISCRETE)
PENDULUM = Setting(
    16, 200, 10, 8, rl.PPOHyperparameters(lr=1e-3, discount=0.95, gae_lambda=0.95), anneal=False
)
# As in PureJaxRL's ppo_continuous_action.py, but for 16 environments where it has 2,048 of them
# and for observations and rewards as they come.
BRAX = Setting(
    16,
    128,
    4,
    4,
    rl.PPOHyperparameters(lr=3e-4, value_clip=0.2),
    widths=(256, 256),
    anneal=False,
    squash=False,
)


class Checkouts(NamedTuple):
    """Where others' repositories are, if they are."""

    jaxmarl: Path | None = None
    purejaxrl: Path | None = None


Section = Iterator[tuple[str, list[Training]]]


class FiveWays(envs.SimpleSpread):
    """Cooperative navigation with JaxMARL's discrete actions: rest, left, right, down, up."""

    @cached_property
    def action_spec(self) -> Any:
        """``int32[N]`` below 5."""
        return discrete_actions(self.num_agents, len(WAYS))

    def advance(self, key: jax.Array, world: Any, action: jax.Array, params: Any) -> Any:
        """A full push in the chosen direction."""
        return super().advance(key, world, jnp.array(WAYS)[action], params)


def spread(steps: int, checkouts: Checkouts) -> Section:
    """Cooperative navigation, three agents."""
    forms = [ours.ppo("jaxswarm", FiveWays(3), SPREAD, steps)]
    if installed("jaxmarl"):
        from jaxmarl import make  # pyright: ignore[reportMissingImports]

        theirs = envs.from_jaxmarl(make("MPE_simple_spread_v3"))
        forms.append(ours.ppo("jaxswarm, JaxMARL's world", theirs, SPREAD, steps))
        if checkouts.jaxmarl is not None:
            forms.append(scripts.jaxmarl(checkouts.jaxmarl, SPREAD, steps))
    yield "simple_spread, 3 agents", forms


def pendulum(steps: int, checkouts: Checkouts) -> Section:
    """One pendulum per learner, episodes of 200 steps: PPO, and SAC on a tenth of the steps."""
    del checkouts
    env = envs.Pendulum(num_agents=1)
    sac = ours.sac("jaxswarm SAC", env, max(steps // 10, 2_000), every=env.time_limit)
    yield "pendulum", [ours.ppo("jaxswarm PPO", env, PENDULUM, steps), sac]


def gymnax(steps: int, checkouts: Checkouts) -> Section:
    """CartPole-v1 of gymnax, at most 500 steps: PPO, and PureJaxRL's script."""
    if not installed("gymnax"):
        print("gymnax: left out, it is not installed")
        return
    import gymnax  # pyright: ignore[reportMissingImports]

    forms = [
        ours.ppo("jaxswarm PPO", envs.from_gymnax(*gymnax.make("CartPole-v1")), CARTPOLE, steps)
    ]
    if checkouts.purejaxrl is not None:
        forms.append(
            scripts.purejaxrl(checkouts.purejaxrl, "ppo.py", "CartPole-v1", CARTPOLE, steps)
        )
    yield "gymnax CartPole-v1", forms


def brax(steps: int, checkouts: Checkouts) -> Section:
    """The inverted pendulum of brax, at most 1,000 steps: PPO, PureJaxRL's script, and SAC.

    SAC has a tenth of the steps. The physics are the ones that the script asks for.
    """
    if not installed("brax"):
        print("brax: left out, it is not installed")
        return
    from brax.envs import get_environment  # pyright: ignore[reportMissingImports]

    world = "inverted_pendulum"
    env = envs.from_brax(get_environment(world, backend="positional"))
    forms = [ours.ppo("jaxswarm PPO", env, BRAX, steps, episodes=100)]
    if checkouts.purejaxrl is not None:
        name = "ppo_continuous_action.py"
        forms.append(scripts.purejaxrl(checkouts.purejaxrl, name, world, BRAX, steps))
    forms.append(ours.sac("jaxswarm SAC", env, max(steps // 10, 2_000)))
    yield f"brax {world}", forms


SECTIONS: dict[str, Callable[[int, Checkouts], Section]] = {
    "spread": spread,
    "pendulum": pendulum,
    "gymnax": gymnax,
    "brax": brax,
}
