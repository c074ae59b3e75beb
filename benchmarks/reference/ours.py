"""Our learners under given hyper-parameters."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from benchmarks.reference.training import Training
from jaxswarm import envs, rl, rollout

MAX_GRAD_NORM = 0.5


class Setting(NamedTuple):
    """Hyper-parameters of PPO, ours and others'.

    Attributes:
        num_envs: side by side.
        num_steps: of each between updates.
        epochs: over what they collected.
        minibatches: of an epoch.
        hyperparameters: of the learner.
        widths: of the hidden layers.
        anneal: the step size falls to 0 linearly.
        squash: bounded actions are squashed instead of clipped.
    """

    num_envs: int
    num_steps: int
    epochs: int
    minibatches: int
    hyperparameters: rl.PPOHyperparameters
    widths: Sequence[int] = (64, 64)
    anneal: bool = True
    squash: bool = True

    def iterations(self, steps: int) -> int:
        """Collections in ``steps`` steps of the environment, at least one."""
        return max(steps // (self.num_envs * self.num_steps), 1)


def ppo(name: str, env: Any, setting: Setting, steps: int, *, episodes: int = 2_000) -> Training:
    """PPO with shared weights; ``episodes`` of random actions are played for comparison."""
    iterations = setting.iterations(steps)
    network = rl.network_for(env, widths=setting.widths, squash=setting.squash)
    learner = rl.ppo(
        env,
        network,
        num_envs=setting.num_envs,
        num_steps=setting.num_steps,
        epochs=setting.epochs,
        minibatches=setting.minibatches,
        optimizer=_optimizer(setting, iterations),
        hyperparameters=setting.hyperparameters,
    )
    train = _returns_of(env, network, learner, iterations)
    steps = iterations * setting.num_envs * setting.num_steps
    return Training(name, train, steps, by_chance(env, episodes))


def sac(name: str, env: Any, steps: int, *, every: int = 1) -> Training:
    """SAC of one agent in one environment; returns are recorded in every ``every``-th step."""
    network = rl.q_network_for(env, widths=(64, 64))
    hp = rl.SACHyperparameters(actor_lr=1e-3, critic_lr=1e-3, temperature_lr=1e-3)
    learner = rl.sac(env, network, hyperparameters=hp)
    return Training(name, _returns_of(env, network, learner, steps, every), steps)


def by_chance(env: Any, episodes: int) -> float:
    """Mean return of random actions."""
    play = envs.random_policy(env.action_spec)
    run = jax.jit(lambda key: jnp.mean(rl.evaluate(key, env, play, episodes)))
    return float(run(jax.random.key(0)))


def _optimizer(setting: Setting, iterations: int) -> optax.GradientTransformation:
    updates = setting.epochs * setting.minibatches
    parts = [optax.clip_by_global_norm(MAX_GRAD_NORM), optax.scale_by_adam(eps=1e-5)]
    if setting.anneal:
        parts.append(
            optax.scale_by_schedule(lambda i: 1.0 - (jnp.asarray(i) // updates) / iterations)
        )
    return optax.chain(*parts)


def _returns_of(
    env: Any, network: Any, learner: Any, iterations: int, every: int = 1
) -> Callable[[jax.Array], jax.Array]:
    def train(key: jax.Array) -> jax.Array:
        init_key, start_key, run_key = jax.random.split(key, 3)
        params = rl.initialize(init_key, network, env.num_agents, shared=True)
        state = learner.init(params, start_key)
        _, records = rollout(learner.step, state, iterations, key=run_key, every=every)
        return jnp.mean(records.info.episodes.mean_return, axis=1)

    return train
