"""Methods of the AC-Flow experiment by name, with numbers of the grid that may be traced."""

from collections.abc import Callable

import jax
import optax

from experiments.ac_flow.config import Config
from jaxswarm import generative
from jaxswarm.algorithm import Algorithm
from jaxswarm.models import flow
from jaxswarm.types import ArrayLike

NO_CLIP = 1e6  # a threshold that no advantage reaches

Reward = Callable[..., jax.Array]


def optimizer(rate: float, steps: int) -> optax.GradientTransformation:
    """Adam with a cosine step size and gradients clipped to norm 1, for the flow of every method.

    Args:
        rate: the first step size.
        steps: gradient steps until it is 0.
    """
    schedule = optax.cosine_decay_schedule(rate, steps)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))


def build(
    config: Config,
    method: str,
    model: flow.Flow,
    reward: Reward,
    tau: ArrayLike,
    alpha: ArrayLike,
    *,
    clip: ArrayLike = NO_CLIP,
    refresh: ArrayLike | None = None,
    lr: float | None = None,
    width: int | None = None,
    steps: int | None = None,
) -> Algorithm:
    """Build a method with the settings that all of them share.

    Args:
        config: sizes.
        method: a key of :data:`METHODS`; the two AC-Flow arms differ in ``clip`` only.
        model: the flow.
        reward: of samples.
        tau: temperature; of ``"reward_ranked"`` the share of a batch that is kept.
        alpha: weight of the penalty.
        clip: largest absolute advantage of AC-Flow.
        refresh: iterations between refreshes of the sampling copy, ``config.refresh`` by default.
        lr: the flow's first step size, ``config.lr`` by default.
        width: units of the critic's hidden layers; ``config.width`` by default.
        steps: iterations of the run, ``config.steps`` by default.
    """
    shared = {
        "alpha": alpha,
        "optimizer": optimizer(lr or config.lr, config.updates * (steps or config.steps)),
        "updates": config.updates,
        "refresh_every": config.refresh if refresh is None else refresh,
        "batch_size": config.batch,
        "num_steps": config.ode_steps,
    }
    if method == "orw_cfm":
        return generative.orw_cfm(model, reward, temperature=tau, **shared)
    if method == "reward_ranked":
        return generative.reward_ranked(model, reward, share=tau, **shared)
    size = width or config.width
    shared |= {
        "critic": generative.critic_from_network(generative.CriticMLP((size, size)), model.shape),
        "critic_optimizer": optax.adam(config.critic_lr),
    }
    if method == "naive":
        return generative.naive_actor_critic(model, reward, temperature=tau, **shared)
    return generative.ac_flow(
        model, reward, temperature=tau, clip=clip, warm_up=config.warm_up, **shared
    )
