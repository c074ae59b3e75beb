"""AC-Flow and its baselines: online fine-tuning of flow models by rewards.

All of them are one iteration with other weights of the samples:

=====================  ====================================  ==================  =======
method                 weight of a sample, of mean one       reward shaping      warm-up
=====================  ====================================  ==================  =======
ac_flow                ``exp(τ · clip(R - V(x_t, t), ±c))``  standardized        yes
naive_actor_critic     ``exp(τ · (R - V(x_t, t)))``          none                no
orw_cfm                ``exp(τ · R)``                        none                –
reward_ranked          1 for the best share of a batch       –                   –
=====================  ====================================  ==================  =======

References:
    Fan et al., Fine-tuning flow matching generative models with intermediate feedback, 2025
    (AC-Flow).
    Fan et al., Online reward-weighted fine-tuning of flow matching with Wasserstein regularization,
    2025 (ORW-CFM-W2).
    Dong et al., RAFT: reward ranked finetuning for generative foundation model alignment, 2023.
"""

from typing import Any, TypedDict, Unpack

import jax
import optax

from jaxswarm import checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.generative._critic import Critic, CriticMLP, critic_from_network
from jaxswarm.generative._fine_tuning import Reward, Settings, fine_tuning
from jaxswarm.generative._rewards import SHAPINGS
from jaxswarm.generative._weights import (
    Weighting,
    clip_advantages,
    exponential_weights,
    function_weights,
    top_share_weights,
)
from jaxswarm.models import flow
from jaxswarm.types import ArrayLike


class Options(TypedDict, total=False):
    """What all methods have in common; meanings and defaults are those of :func:`ac_flow`."""

    optimizer: optax.GradientTransformation | None
    updates: int
    refresh_every: ArrayLike | None
    batch_size: int
    num_steps: int
    method: str
    decay: float


class CriticOptions(Options, total=False):
    """Those of methods with a critic."""

    weighting: Weighting | None
    critic: Critic | None
    critic_optimizer: optax.GradientTransformation | None


def ac_flow(
    model: flow.Flow,
    reward: Reward,
    *,
    clip: ArrayLike | None = 0.5,
    warm_up: int = 200,
    alpha: ArrayLike = 1.0,
    temperature: ArrayLike = 1.0,
    shaping: str = "standardize",
    weighting: Weighting | None = None,
    critic: Critic | None = None,
    optimizer: optax.GradientTransformation | None = None,
    critic_optimizer: optax.GradientTransformation | None = None,
    updates: int = 1,
    refresh_every: ArrayLike | None = 1,
    batch_size: int = 128,
    num_steps: int = 20,
    method: str = "euler",
    decay: float = 0.99,
    total_steps: int | None = None,
) -> Algorithm:
    """AC-Flow: fine-tune a flow model by rewards with a critic of intermediate states.

    Each iteration draws ``x1`` from the sampling copy by the ODE, evaluates the rewards ``R``
    (``batch_size`` reward calls), standardizes them, and trains a critic ``V(x_t, t)`` of noised
    states of the conditional path. After ``warm_up`` iterations the model is trained as well, on
    the flow-matching loss with weights ``exp(τ · clip(R - V, ±clip))``, plus ``alpha`` times the
    squared distance to the reference's velocities. The reward is a black box and is never
    differentiated.

    With the clipping off and ``alpha=0`` the critic cancels in the minimizer,
    ``E[w u | x_t] / E[w | x_t]``, which is then that of :func:`orw_cfm` on the same shaped rewards:
    the clipping changes what is learned, the critic how gradients are scaled.

    Args:
        model: the flow model; only its shape, path and functions are used, so any model of one's
            own will do.
        reward: ``reward(samples [B, ...]) -> [B]``; of a conditional model
            ``reward(samples, condition)``, and with ``Request.context`` that as the last argument.
        clip: largest absolute advantage, > 0, in standard deviations of the reward if
            standardized; ``None`` turns the clipping off.
        warm_up: iterations in which only the critic is trained, at least 0.
        alpha: weight of the penalty on the distance to the reference (a bound on the squared
            Wasserstein-2 distance), >= 0. 0 lets the model collapse onto the best reward.
        temperature: ``τ >= 0``; larger values concentrate the weights.
        shaping: of rewards, ``"standardize"``, ``"squash"`` or ``"none"``.
        weighting: a positive monotone function of the clipped advantages, instead of the
            exponential; then ``temperature`` is not used.
        critic: the critic; a :class:`CriticMLP` for the model's shape and classes by default.
        optimizer: of the model; by default Adam with step size ``2e-4`` and gradients clipped to
            norm 1, as in the authors' code of ORW-CFM-W2.
        critic_optimizer: of the critic; by default Adam with step size ``1e-3``.
        updates: gradient steps of critic and model for each batch of rewards, at least 1, each with
            fresh times and noise.
        refresh_every: iterations after which the parameters are copied to the sampling copy, at
            least 1, may be traced; ``None`` samples from the reference throughout.
        batch_size: samples and reward calls of one iteration, at least 2.
        num_steps: steps of the sampler's ODE, at least 1.
        method: of the ODE solver, see ``flow.integrate``.
        decay: of the running reward statistics, in ``[0, 1)``.
        total_steps: iterations that the caller is going to make; only checked: ``warm_up`` must be
            less.

    Returns:
        ``init(params, key, inputs=None, *, reference=None) -> FineTuningState``, where ``params``
        are the pretrained parameters (and the reference by default), and
        ``step(key, state, inputs=None) -> (state, FineTuningInfo)``. ``inputs`` is a
        :class:`Request` with the conditions of a batch, or ``None``. Both draw one batch. Samples
        whose reward is not finite have no influence and are counted; ``init`` refuses them.

    Raises:
        ValueError: for a negative temperature or alpha, ``clip <= 0``, ``warm_up >= total_steps``,
            an unknown shaping, sizes below 1; in ``init`` and ``step`` for a reward of another
            shape than ``(B,)``, in ``init`` for rewards that are constant or not finite (unless
            traced) and a reference whose tree is not that of ``params``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import generative, rollout
        >>> from jaxswarm.models import flow
        >>> model = flow.from_network(flow.MLP(width=16), (2,))
        >>> learner = generative.ac_flow(
        ...     model, lambda x: x[:, 0], warm_up=5, batch_size=32, num_steps=4
        ... )
        >>> state = learner.init(model.init(jax.random.key(1)), jax.random.key(0))
        >>> state, info = rollout(learner.step, state, 8, key=jax.random.key(2))
        >>> int(state.step), (info.info.actor_loss > 0).tolist()
        (8, [False, False, False, False, False, True, True, True])

    References:
        Fan et al., Fine-tuning flow matching generative models with intermediate feedback, 2025.
        Constants of shaping, clipping and warm-up are choices of this package.
    """
    if clip is not None:
        checks.real("clip", clip, above=0.0)
    checks.real("temperature", temperature, 0.0)
    if weighting is not None:
        checks.function("weighting", weighting)
    flow.check_model(model)
    if critic is None:
        module = CriticMLP(num_classes=model.num_classes)
        critic = critic_from_network(
            module,
            model.shape,
            num_classes=model.num_classes,
            condition_shape=model.condition_shape,
        )
    checks.instance("critic", critic, Critic, "generative.critic_from_network(...)")
    if total_steps is not None:
        warm_up = checks.whole("warm_up", warm_up)
        total_steps = checks.whole("total_steps", total_steps, 1)
        if warm_up >= total_steps:
            raise ValueError(
                f"warm_up: expected fewer iterations than total_steps={total_steps}, got {warm_up}"
            )

    def weights(shaped: jax.Array, values: jax.Array, counts: jax.Array) -> jax.Array:
        advantages = clip_advantages(shaped - values, clip)
        if weighting is not None:
            return function_weights(advantages, weighting, counts)
        return exponential_weights(advantages, temperature, counts)

    return _method(
        model, reward, weights, shaping=shaping, decay=decay, alpha=alpha, warm_up=warm_up,
        updates=updates, refresh_every=refresh_every, batch_size=batch_size, num_steps=num_steps,
        method=method, optimizer=optimizer, critic=critic, critic_optimizer=critic_optimizer,
    )  # fmt: skip


def naive_actor_critic(
    model: flow.Flow,
    reward: Reward,
    *,
    alpha: ArrayLike = 1.0,
    temperature: ArrayLike = 1.0,
    **options: Unpack[CriticOptions],
) -> Algorithm:
    """Naive actor-critic fine-tuning: AC-Flow without shaping, clipping and critic warm-up.

    A baseline whose scale of weights is that of the rewards: it breaks when rewards are large.

    Args:
        model: the flow model.
        reward: as for :func:`ac_flow`.
        alpha: weight of the penalty on the distance to the reference, >= 0.
        temperature: ``τ >= 0``.
        **options: ``critic``, ``weighting``, optimizers and sizes as for :func:`ac_flow`.

    Raises:
        ValueError: as :func:`ac_flow`.
    """
    return ac_flow(
        model,
        reward,
        clip=None,
        warm_up=0,
        alpha=alpha,
        temperature=temperature,
        shaping="none",
        **options,
    )


def orw_cfm(
    model: flow.Flow,
    reward: Reward,
    *,
    alpha: ArrayLike = 1.0,
    temperature: ArrayLike = 0.5,
    shaping: str = "none",
    **options: Unpack[Options],
) -> Algorithm:
    """ORW-CFM-W2: online reward-weighted flow matching with a Wasserstein-2 penalty.

    Weights ``exp(τ · R)`` and no critic. ``alpha=0`` is ORW-CFM. Noise is independent of the data:
    the authors' code re-pairs data with noise by optimal transport but leaves the weights in the
    old order.

    Args:
        model: the flow model.
        reward: as for :func:`ac_flow`.
        alpha: weight of the penalty on the distance to the reference, >= 0.
        temperature: ``τ >= 0``.
        shaping: of rewards; the authors use none.
        **options: ``optimizer``, ``updates``, ``refresh_every``, ``batch_size``, ``num_steps``,
            ``method`` and ``decay`` as for :func:`ac_flow`.

    Raises:
        ValueError: as :func:`ac_flow`.

    Example:
        >>> import jax
        >>> from jaxswarm import generative
        >>> from jaxswarm.models import flow
        >>> model = flow.from_network(flow.MLP(width=16), (2,))
        >>> learner = generative.orw_cfm(model, lambda x: x[:, 0], batch_size=32, num_steps=4)
        >>> state = learner.init(model.init(jax.random.key(1)), jax.random.key(0))
        >>> state, info = learner.step(jax.random.key(2), state)
        >>> bool(0 < info.effective_samples < 1)
        True

    References:
        Fan et al., Online reward-weighted fine-tuning of flow matching with Wasserstein
        regularization, 2025.
    """
    checks.real("temperature", temperature, 0.0)

    def weights(shaped: jax.Array, values: jax.Array, counts: jax.Array) -> jax.Array:
        del values
        return exponential_weights(shaped, temperature, counts)

    return _method(model, reward, weights, shaping=shaping, alpha=alpha, **options)


def reward_ranked(
    model: flow.Flow,
    reward: Reward,
    *,
    share: ArrayLike = 0.25,
    alpha: ArrayLike = 0.0,
    **options: Unpack[Options],
) -> Algorithm:
    """Reward-ranked fine-tuning (RAFT): train on the best share of every batch of samples.

    Args:
        model: the flow model.
        reward: as for :func:`ac_flow`.
        share: of a batch that is kept, in ``(0, 1]``.
        alpha: weight of the penalty on the distance to the reference, >= 0; RAFT has none.
        **options: ``optimizer``, ``updates``, ``refresh_every``, ``batch_size``, ``num_steps``,
            ``method`` and ``decay`` as for :func:`ac_flow`.

    Raises:
        ValueError: for a share outside ``(0, 1]``; as :func:`ac_flow`.

    References:
        Dong et al., RAFT: reward ranked finetuning for generative foundation model alignment, 2023.
    """
    checks.real("share", share, high=1.0, above=0.0)

    def weights(shaped: jax.Array, values: jax.Array, counts: jax.Array) -> jax.Array:
        del values
        return top_share_weights(shaped, share, counts)

    return _method(model, reward, weights, shaping="none", alpha=alpha, **options)


def _method(
    model: flow.Flow,
    reward: Reward,
    weights: Any,
    *,
    shaping: str,
    alpha: ArrayLike,
    optimizer: optax.GradientTransformation | None = None,
    updates: int = 1,
    refresh_every: ArrayLike | None = 1,
    batch_size: int = 128,
    num_steps: int = 20,
    method: str = "euler",
    decay: float = 0.99,
    warm_up: int = 0,
    critic: Critic | None = None,
    critic_optimizer: optax.GradientTransformation | None = None,
) -> Algorithm:
    """Check what all methods have in common and build the algorithm."""
    flow.check_model(model)
    checks.function("reward", reward)
    checks.choice("shaping", shaping, SHAPINGS)
    checks.real("alpha", alpha, 0.0)
    checks.real("decay", decay, 0.0, below=1.0)
    if refresh_every is not None:
        refresh_every = checks.wholes("refresh_every", refresh_every, 1, shape=())
    settings = Settings(
        shaping=shaping,
        decay=decay,
        alpha=alpha,
        warm_up=checks.whole("warm_up", warm_up),
        updates=checks.whole("updates", updates, 1),
        refresh_every=refresh_every,
        batch_size=checks.whole("batch_size", batch_size, 2),
        num_steps=checks.whole("num_steps", num_steps, 1),
        method=checks.choice("method", method, flow.METHODS),
        optimizer=_optimizer("optimizer", optimizer, default_optimizer()),
        critic=critic,
        critic_optimizer=_optimizer("critic_optimizer", critic_optimizer, optax.adam(1e-3)),
    )
    return fine_tuning(model, reward, weights, settings)


def default_optimizer() -> optax.GradientTransformation:
    """Adam with step size ``2e-4`` and gradients clipped to norm 1 (the ORW-CFM-W2 code's)."""
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(2e-4))


def _optimizer(
    name: str, given: Any, default: optax.GradientTransformation
) -> optax.GradientTransformation:
    if given is None:
        return default
    if not (hasattr(given, "init") and hasattr(given, "update")):
        raise ValueError(
            f"{name}: expected an optax optimizer such as optax.adam(1e-3), got "
            f"{checks.shown(given)}"
        )
    return given
