"""Online fine-tuning of a flow model by rewards: state, loss and the step all methods share.

One iteration samples data from the sampling copy, evaluates their rewards, updates the reward
statistics, trains the critic (if there is one) and then the model on a weighted flow-matching loss
with a penalty towards the frozen reference. The methods of :mod:`jaxswarm.generative` differ in the
weights of the samples.

Shapes: ``B`` samples of a batch, ``...`` the shape of one sample.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.generative._critic import Critic
from jaxswarm.generative._losses import (
    check_same_tree,
    critic_error,
    keep,
    rows,
    weighted_loss,
)
from jaxswarm.generative._rewards import (
    RewardStatistics,
    check_rewards,
    reward_statistics,
    shape_rewards,
    update_statistics,
)
from jaxswarm.models import flow
from jaxswarm.types import ArrayLike, Key, Params, PyTree

Reward = Callable[..., jax.Array]
"""``reward(samples [B, ...]) -> float[B]``, a black box: it is never differentiated."""

WeightsFn = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
"""``weights(shaped_rewards [B], values [B], counts bool[B]) -> float[B]`` of mean one."""


class Request(NamedTuple):
    """What samples are drawn for in one iteration; the ``inputs`` of a step.

    Attributes:
        condition: ``[B, ...]``, classes or numbers, given to the model, the critic and the reward;
            ``None`` for none.
        context: what else the reward gets, such as one agent's preference; ``None`` for nothing.
    """

    condition: jax.Array | None = None
    context: PyTree = None


class FineTuningState(NamedTuple):
    """State of fine-tuning, all of it arrays.

    Attributes:
        params: the model's parameters.
        sampler: the copy of the parameters that samples are drawn from.
        reference: the frozen parameters of the pretrained model.
        critic: the critic's parameters; ``()`` without a critic.
        opt_state: the optimizer's state.
        critic_opt_state: state of the critic's optimizer; ``()`` without a critic.
        statistics: running mean and variance of the rewards.
        step: ``int32[]``, iterations done.
    """

    params: Params
    sampler: Params
    reference: Params
    critic: Params
    opt_state: PyTree
    critic_opt_state: PyTree
    statistics: RewardStatistics
    step: jax.Array


class FineTuningInfo(NamedTuple):
    """Measurements of one iteration, ``float32[]`` each.

    Attributes:
        reward: mean reward of the batch, not shaped, over finite rewards.
        reward_std: its standard deviation within the batch.
        actor_loss: weighted flow-matching loss; 0 during the critic's warm-up.
        reference_loss: mean squared distance to what the reference predicts, before ``alpha``.
        critic_loss: mean squared error of the critic; 0 without one.
        advantage: mean absolute advantage before clipping.
        effective_samples: effective share of the batch, ``(Σ w)² / (B Σ w²)``.
        num_nonfinite: samples left out, because sample or reward is not finite.
    """

    reward: jax.Array
    reward_std: jax.Array
    actor_loss: jax.Array
    reference_loss: jax.Array
    critic_loss: jax.Array
    advantage: jax.Array
    effective_samples: jax.Array
    num_nonfinite: jax.Array


class Settings(NamedTuple):
    """What the methods have in common, already checked; see ``ac_flow`` for the meanings."""

    shaping: str
    decay: float
    alpha: ArrayLike
    warm_up: int
    updates: int
    refresh_every: ArrayLike | None
    batch_size: int
    num_steps: int
    method: str
    optimizer: optax.GradientTransformation
    critic: Critic | None
    critic_optimizer: optax.GradientTransformation


def fine_tuning(
    model: flow.Flow, reward: Reward, weights: WeightsFn, settings: Settings
) -> Algorithm:
    """Build ``(init, step)`` of a method that is given by the weights of its samples.

    ``init(params, key, inputs=None, *, reference=None)`` draws one batch from the reference to
    start the reward statistics and to refuse rewards that are constant or not finite;
    ``step(key, state, inputs)`` is one iteration, ``inputs`` a :class:`Request` or ``None``.
    """
    critic, size = settings.critic, settings.batch_size

    def draw(key: Key, params: Params, request: Request) -> tuple[jax.Array, jax.Array]:
        field = flow.field(model, params, request.condition)
        samples = flow.sample(
            key, field, size, model.shape, num_steps=settings.num_steps, method=settings.method
        )
        samples = jax.lax.stop_gradient(samples)
        return samples, evaluate_reward(reward, samples, request)

    def init(
        params: Params, key: Key, inputs: Any = None, *, reference: Params = None
    ) -> FineTuningState:
        checks.key(key)
        request = as_request(inputs, size)
        reference = params if reference is None else reference
        check_same_tree("reference", reference, params)
        draw_key, critic_key = jax.random.split(key)
        _, rewards = draw(draw_key, reference, request)
        check_rewards(rewards)
        values = () if critic is None else critic.init(critic_key)
        # Copies, so that a caller who donates the state donates no buffer twice.
        copy = lambda tree: jax.tree.map(jnp.array, tree)  # noqa: E731
        return FineTuningState(
            params=copy(params),
            sampler=copy(params),
            reference=copy(reference),
            critic=values,
            opt_state=settings.optimizer.init(params),
            critic_opt_state=() if critic is None else settings.critic_optimizer.init(values),
            statistics=update_statistics(reward_statistics(), rewards, decay=settings.decay),
            step=jnp.zeros((), jnp.int32),
        )

    def step(
        key: Key, state: FineTuningState, inputs: Any = None
    ) -> tuple[FineTuningState, FineTuningInfo]:
        request = as_request(inputs, size)
        draw_key, update_key = jax.random.split(key)
        samples, rewards = draw(draw_key, state.sampler, request)
        counts = jnp.isfinite(rewards) & jnp.isfinite(samples).reshape(size, -1).all(axis=1)
        rewards = jnp.where(counts, rewards, jnp.nan)
        statistics = update_statistics(state.statistics, rewards, decay=settings.decay)
        shaped = shape_rewards(rewards, statistics, settings.shaping)
        is_acting = state.step >= settings.warm_up
        samples = jnp.where(rows(counts, samples), samples, jnp.nan)

        def update(carry: tuple[Params, Any, Params, Any], key: Key) -> Any:
            params, opt_state, values, critic_opt_state = carry
            critic_key, actor_key = jax.random.split(key)
            critic_loss = jnp.zeros(())
            if critic is not None:
                noised = flow.noised(critic_key, samples, model.path)
                critic_loss, grads = jax.value_and_grad(critic_error, argnums=1)(
                    critic, values, noised, shaped, request.condition
                )
                updates, critic_opt_state = settings.critic_optimizer.update(
                    grads, critic_opt_state, values
                )
                values = optax.apply_updates(values, updates)
            noised = flow.noised(actor_key, samples, model.path)
            estimate = jnp.zeros(size)
            if critic is not None:
                clean = jax.tree.map(lambda leaf: keep(counts, leaf), noised)
                estimate = critic.value(values, clean.x, clean.t, request.condition)
                estimate = jax.lax.stop_gradient(estimate)
            chosen = weights(shaped, estimate, counts)

            def act(params: Params, opt_state: Any) -> Any:
                def loss(params: Params) -> Any:
                    return weighted_loss(
                        model, params, noised, chosen, reference=state.reference,
                        alpha=settings.alpha, condition=request.condition,
                    )  # fmt: skip

                (_, terms), grads = jax.value_and_grad(loss, has_aux=True)(params)
                updates, opt_state = settings.optimizer.update(grads, opt_state, params)
                return optax.apply_updates(params, updates), opt_state, terms

            def wait(params: Params, opt_state: Any) -> Any:
                return params, opt_state, (jnp.zeros(()), jnp.zeros(()))

            if settings.warm_up:
                params, opt_state, terms = jax.lax.cond(is_acting, act, wait, params, opt_state)
            else:
                params, opt_state, terms = act(params, opt_state)
            advantage = jnp.sum(jnp.where(counts, jnp.abs(shaped - estimate), 0.0))
            effective = jnp.square(jnp.sum(chosen)) / _positive(jnp.sum(jnp.square(chosen)) * size)
            number = jnp.maximum(jnp.sum(counts), 1)
            return (params, opt_state, values, critic_opt_state), (
                *terms, critic_loss, advantage / number, effective
            )  # fmt: skip

        carry = (state.params, state.opt_state, state.critic, state.critic_opt_state)
        carry, measured = jax.lax.scan(
            update, carry, jax.random.split(update_key, settings.updates)
        )
        params, opt_state, values, critic_opt_state = carry
        sampler = state.sampler
        if settings.refresh_every is not None:
            is_due = (state.step + 1) % jnp.asarray(settings.refresh_every) == 0
            sampler = jax.tree.map(lambda new, old: jnp.where(is_due, new, old), params, sampler)
        number = jnp.maximum(jnp.sum(counts), 1)
        mean = jnp.sum(jnp.where(counts, rewards, 0.0)) / number
        spread = jnp.sum(jnp.where(counts, jnp.square(rewards - mean), 0.0)) / number
        info = FineTuningInfo(
            mean, jnp.sqrt(spread), *(jnp.mean(values) for values in measured),
            num_nonfinite=jnp.sum(~counts),
        )  # fmt: skip
        return (
            FineTuningState(
                params, sampler, state.reference, values, opt_state, critic_opt_state, statistics,
                state.step + 1,
            ),
            info,
        )  # fmt: skip

    return Algorithm(init, step)


def evaluate_reward(reward: Reward, samples: jax.Array, request: Request) -> jax.Array:
    """Call a reward with the parts of the request that are given, and check what it returns.

    Returns:
        ``float32[B]``, without gradient.

    Raises:
        ValueError: if the reward does not return one number for each sample.
    """
    given = (part for part in request if part is not None)
    rewards = reward(samples, *given)
    wanted = samples.shape[:1]
    if jnp.shape(rewards) != wanted:
        raise ValueError(
            f"reward: expected one number for each sample, shape {wanted}, got "
            f"{checks.shown(rewards)}"
        )
    return jax.lax.stop_gradient(checks.numbers("reward", rewards, wanted).astype(jnp.float32))


def as_request(inputs: Any, batch_size: int) -> Request:
    """Return the inputs of a step as a :class:`Request`.

    Raises:
        ValueError: unless they are ``None`` or a :class:`Request` with ``batch_size`` conditions.
    """
    if inputs is None:
        return Request()
    checks.instance("inputs", inputs, Request, "generative.Request(condition)")
    if inputs.condition is not None and jnp.shape(inputs.condition)[:1] != (batch_size,):
        raise ValueError(
            f"inputs: expected a condition of shape ({batch_size}, ...), one for each sample of a "
            f"batch, got {jnp.shape(inputs.condition)}"
        )
    return inputs


def _positive(value: jax.Array) -> jax.Array:
    return jnp.where(value > 0.0, value, 1.0)
