"""SL-MGAC: actor-critic with supervised reward heads, user groups and layer normalization.

The action value is ``Q(s, a) = R̂(s, a) + B(s, a)``. ``R̂``, the expected reward, comes from heads
that classify watch times into bins and learn by cross-entropy alone; only ``B``, the discounted
value of what follows, bootstraps: its target is ``γ Σ π(a'|s') Q(s', a')``, which contains no
sampled reward, and its loss has no gradient in ``R̂``. All heads are those of the user's group.
The baselines, discrete soft actor-critic and DQN, and the ablations differ by four switches that
may be traced, so that one program trains all of them side by side.

The paper's reward, groups, bins and losses are not public; this is our reading of its abstract.

Shapes: ``B`` rows, ``F`` features, ``G`` groups, ``C`` critics.

References:
    J. Liu, X. Gao, Y. Li et al., Supervised learning-enhanced multi-group actor critic for live
    stream allocation in feed, 2025.
    P. Christodoulou, Soft actor-critic for discrete action settings, 2019.
    V. Mnih et al., Human-level control through deep reinforcement learning, 2015 (DQN).
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm import checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.models.losses import weighted_mean
from jaxswarm.systems.sl_mgac._constraint import exposure_cost, insertion_reward, log_returns
from jaxswarm.systems.sl_mgac._network import GroupNetwork
from jaxswarm.systems.sl_mgac._rows import LogBatch, LogRows, sample_rows
from jaxswarm.systems.sl_mgac._two_hot import encode, expected_value
from jaxswarm.types import Key, Params, PyTree

TEMPERATURE = 0.02
"""Initial temperature, in units of ``value_std``."""

SWITCHES = ("groups", "supervised", "layer_norm", "actor")


class Hyperparameters(NamedTuple):
    """Numbers of the learner; all may be traced.

    Attributes:
        lr: step size of Adam, of all parts.
        tau: share of the critics that moves into their targets in an update, in ``(0, 1]``.
        temperature_lr: step size of the logarithm of the temperature.
        target_entropy: of the policy, in nats, in ``[0, log 2]``.
        discount: ``γ`` from a request to the next of the same day, in ``[0, 1]``.
        night_discount: ``γ`` from the last request of a day to the first of the next.
        multiplier: ``λ``, weight of the short-video time in the reward, at least 0.
        exposure_cost: ``c``, one number or ``[G]``, at least 0.
        value_mean: offset of the critics' outputs.
        value_std: scale of the critics' outputs, above 0.
        groups: whether heads are those of the user's group; otherwise all users have one head.
        supervised: whether the reward heads are part of the value; otherwise the critics learn
            from sampled rewards.
        layer_norm: whether the critics' trunks have layer normalization.
        actor: whether the policy is an actor's and targets are means over its actions, of the
            smallest critic; otherwise the policy is the best action of the first critic and
            targets are maxima.
    """

    lr: Any = 1e-3
    tau: Any = 0.05
    temperature_lr: Any = 5e-3
    target_entropy: Any = 0.1
    discount: Any = 0.98
    night_discount: Any = 0.95
    multiplier: Any = 1.0
    exposure_cost: Any = 0.0
    value_mean: Any = 0.0
    value_std: Any = 1.0
    groups: Any = True
    supervised: Any = True
    layer_norm: Any = True
    actor: Any = True


SETTINGS: dict[str, dict[str, bool]] = {
    "SL-MGAC": dict.fromkeys(SWITCHES, True),
    "no groups": {**dict.fromkeys(SWITCHES, True), "groups": False},
    "no supervised head": {**dict.fromkeys(SWITCHES, True), "supervised": False},
    "no layer norm": {**dict.fromkeys(SWITCHES, True), "layer_norm": False},
    "SAC": {**dict.fromkeys(SWITCHES, False), "actor": True},
    "DQN": dict.fromkeys(SWITCHES, False),
}
"""Switches of SL-MGAC, of its ablations, and of its baselines."""


class LearnerState(NamedTuple):
    """State of the learner.

    Attributes:
        params: weights ``{"reward", "critic", "actor"}``.
        target: weights of the target critics.
        log_alpha: ``[]``, logarithm of the temperature.
        opt_state: of Adam, of weights and temperature.
    """

    params: Params
    target: Params
    log_alpha: jax.Array
    opt_state: PyTree


class Learner(NamedTuple):
    """SL-MGAC or one of its baselines, as pure functions.

    Attributes:
        init: ``init(key) -> LearnerState``.
        step: ``step(key, state, batch: LogBatch) -> (LearnerState, losses)``; deterministic.
        rewards: ``rewards(params, features [B, F], group [B]) -> R̂ [B, 2]``.
        values: ``values(params, features, group) -> Q [B, 2]``, in units of the reward.
        probabilities: ``probabilities(params, features, group) -> π [B, 2]``.
        act: ``act(params, features, group) -> int32[B]``, the most probable action.
        network: the networks.
        hyperparameters: the numbers.
    """

    init: Callable[[Key], LearnerState]
    step: Callable[..., tuple[LearnerState, dict[str, jax.Array]]]
    rewards: Callable[..., jax.Array]
    values: Callable[..., jax.Array]
    probabilities: Callable[..., jax.Array]
    act: Callable[..., jax.Array]
    network: GroupNetwork
    hyperparameters: Hyperparameters


def settings_of(name: str, hyperparameters: Hyperparameters | None = None) -> Hyperparameters:
    """Hyper-parameters with the switches of a method of :data:`SETTINGS`.

    Raises:
        ValueError: for an unknown name, with a suggestion.

    Example:
        >>> from jaxswarm.systems import sl_mgac
        >>> sl_mgac.settings_of("SAC").supervised
        False
    """
    checks.choice("settings", name, SETTINGS)
    hp = Hyperparameters() if hyperparameters is None else hyperparameters
    checks.instance("hyperparameters", hp, Hyperparameters, "sl_mgac.Hyperparameters()")
    return hp._replace(**SETTINGS[name])


def calibrated(rows: LogRows, hyperparameters: Hyperparameters | None = None) -> Hyperparameters:
    """Set the exposure costs, and the offset and scale of values, from a log.

    Values are normalized by mean and deviation of the log's discounted returns.

    Raises:
        ValueError: if the log of a group lacks one of the actions; for numbers out of range.
    """
    hp = Hyperparameters() if hyperparameters is None else hyperparameters
    hp = hp._replace(exposure_cost=exposure_cost(rows))
    returns = log_returns(
        rows,
        cost=hp.exposure_cost,
        multiplier=hp.multiplier,
        discount=hp.discount,
        night_discount=hp.night_discount,
    )
    mean, std = float(returns.mean()), float(returns.std())
    return hp._replace(value_mean=mean, value_std=std if std > 0.0 else 1.0)


def sl_mgac(network: GroupNetwork, hyperparameters: Hyperparameters | None = None) -> Learner:
    """Make an SL-MGAC learner, or with other switches one of its ablations and baselines.

    Args:
        network: of :func:`jaxswarm.systems.sl_mgac.group_network`.
        hyperparameters: numbers and switches; see :func:`calibrated` and :func:`settings_of`.

    Raises:
        ValueError: for another network, or known numbers out of range.

    Example:
        >>> import jax, numpy as np
        >>> from jaxswarm import data
        >>> from jaxswarm.systems import sl_mgac
        >>> rng, n = np.random.default_rng(0), 200
        >>> insert = rng.integers(0, 2, n)
        >>> watch = {"short": rng.exponential(size=n), "live": insert * rng.exponential(size=n)}
        >>> log = data.interactions(
        ...     np.arange(n) // 5, insert, watch, propensity=np.full(n, 0.5),
        ...     features=rng.normal(size=(n, 3)),
        ... )
        >>> bins = sl_mgac.log_bins(8, 0.1, 20.0)
        >>> rows = sl_mgac.log_rows(log, np.arange(40) % 2, bins, num_groups=2)
        >>> network = sl_mgac.group_network(3, num_groups=2, bins=bins, widths=(8,))
        >>> learner = sl_mgac.sl_mgac(network, sl_mgac.calibrated(rows))
        >>> params = sl_mgac.fit(jax.random.key(0), learner, rows, num_steps=20, batch_size=16)
        >>> learner.act(params, rows.features[:4], rows.group[:4]).shape
        (4,)
    """
    checks.instance("network", network, GroupNetwork, "sl_mgac.group_network(8, 4, bins)")
    hp = check_hyperparameters(
        Hyperparameters() if hyperparameters is None else hyperparameters, network.num_groups
    )
    optimizer = optax.flatten(optax.scale_by_adam())  # one vector compiles sooner than 30 leaves
    groups, supervised, acts = (
        jnp.asarray(x) for x in (hp.groups, hp.supervised, hp.actor)
    )  # fmt: skip
    costs = jnp.broadcast_to(jnp.asarray(hp.exposure_cost, jnp.float32), (network.num_groups,))

    def heads_of(group: jax.Array) -> jax.Array:
        return jnp.where(groups, group, 0)

    def expected_rewards(logits: jax.Array, group: jax.Array) -> jax.Array:
        """``R̂ [B, 2]`` of both actions from the logits of watch times ``[B, 3, K]``."""
        means = expected_value(logits, network.bins)
        without = hp.multiplier * means[:, 0]
        cost = costs[group]
        inserted = means[:, 2] - cost + hp.multiplier * (means[:, 1] + cost)
        return jnp.stack([without, inserted], axis=1)

    def rewards(params: Params, features: jax.Array, group: jax.Array) -> jax.Array:
        return expected_rewards(network.times(params["reward"], features, heads_of(group)), group)

    def known(params: Params, features: jax.Array, group: jax.Array) -> jax.Array:
        """What the reward heads contribute to the value, without gradient, ``[B, 2]``."""
        found = jax.lax.stop_gradient(rewards(params, features, group))
        return jnp.where(supervised, found, 0.0)

    def all_values(
        params: Params, critic: Params, features: jax.Array, group: jax.Array
    ) -> jax.Array:
        outputs = network.future(critic, features, heads_of(group), hp.layer_norm)
        return known(params, features, group)[None] + hp.value_mean + hp.value_std * outputs

    def pooled(q: jax.Array) -> jax.Array:
        """Values of which the policy is the best: ``[C, B, 2] -> [B, 2]``."""
        return jnp.where(acts, jnp.min(q, axis=0), q[0])

    def values(params: Params, features: jax.Array, group: jax.Array) -> jax.Array:
        return pooled(all_values(params, params["critic"], features, group))

    def policy_logits(params: Params, features: jax.Array, group: jax.Array) -> jax.Array:
        return network.policy(params["actor"], features, heads_of(group))

    def probabilities(params: Params, features: jax.Array, group: jax.Array) -> jax.Array:
        soft = jax.nn.softmax(policy_logits(params, features, group), axis=1)
        best = jax.nn.one_hot(jnp.argmax(values(params, features, group), axis=1), 2)
        return jnp.where(acts, soft, best)

    def act(params: Params, features: jax.Array, group: jax.Array) -> jax.Array:
        features = checks.numbers("features", features, (None, network.num_features))
        group = jnp.asarray(
            checks.wholes("group", group, 0, network.num_groups - 1, shape=(len(features),))
        )
        return jnp.argmax(probabilities(params, features, group), axis=1).astype(jnp.int32)

    def targets(state: LearnerState, batch: LogBatch) -> jax.Array:
        """Targets of the critics for the logged actions, without reward if supervised, ``[C, B]``.

        Bootstrapped values are the target critics'; the policy's actions are the actor's.
        """
        where = (batch.next_features, batch.group)
        q = all_values(state.params, state.target, *where)
        policy = jax.nn.softmax(policy_logits(state.params, *where), axis=1)
        mean = jnp.sum(policy * jnp.min(q, axis=0), axis=1)[None]
        after = jnp.where(acts, mean, jnp.max(q, axis=2))
        discount = jnp.where(batch.night, hp.night_discount, hp.discount)
        after = jnp.where(batch.last[None], 0.0, discount[None] * after)
        sampled = insertion_reward(batch.action, batch.times, costs[batch.group], hp.multiplier)
        return after + jnp.where(supervised, 0.0, sampled)[None]

    def reward_loss(params: Params, batch: LogBatch) -> jax.Array:
        """Cross-entropy of the logged watch times, encoded two-hot."""
        logits = network.times(params["reward"], batch.features, heads_of(batch.group))
        inserted = batch.action == 1
        chosen = jnp.where(inserted[:, None], logits[:, 1], logits[:, 0])
        wanted = encode(batch.times, network.bins)
        short = cross_entropy(chosen, wanted[:, 0])
        live = cross_entropy(logits[:, 2], wanted[:, 1])
        return jnp.mean(short) + weighted_mean(live, inserted.astype(jnp.float32))

    def critic_loss(params: Params, target: jax.Array, batch: LogBatch) -> jax.Array:
        """Half the squared error of the critics' outputs, normalized, summed over them."""
        outputs = network.future(
            params["critic"], batch.features, heads_of(batch.group), hp.layer_norm
        )
        inserted = (batch.action == 1)[None]
        chosen = jnp.where(inserted, outputs[..., 1], outputs[..., 0])
        wanted = (target - hp.value_mean) / hp.value_std
        return 0.5 * jnp.sum(jnp.mean(jnp.square(chosen - wanted), axis=1))

    def actor_loss(
        params: Params, log_alpha: jax.Array, batch: LogBatch
    ) -> tuple[jax.Array, jax.Array]:
        """``Σ π (α log π − Q)``, normalized, and the entropy of the policy."""
        logits = policy_logits(params, batch.features, batch.group)
        log_prob = jax.nn.log_softmax(logits, axis=1)
        q = jax.lax.stop_gradient(values(params, batch.features, batch.group)) / hp.value_std
        alpha = jax.lax.stop_gradient(jnp.exp(log_alpha))
        prob = jnp.exp(log_prob)
        entropy = -jnp.mean(jnp.sum(prob * log_prob, axis=1))
        return jnp.mean(jnp.sum(prob * (alpha * log_prob - q), axis=1)), entropy

    def total(
        learned: tuple[Params, jax.Array], target: jax.Array, batch: LogBatch
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        params, log_alpha = learned
        actor, entropy = actor_loss(params, log_alpha, batch)
        gap = jax.lax.stop_gradient(entropy - hp.target_entropy)
        losses = {
            "reward_loss": reward_loss(params, batch),
            "critic_loss": critic_loss(params, target, batch),
            "actor_loss": actor,
        }
        temperature = log_alpha * gap  # moves as α (H − H̄), and keeps pace where α is small
        return sum(losses.values(), temperature), {**losses, "entropy": entropy}

    def init(key: Key) -> LearnerState:
        params = network.init(checks.key(key))
        log_alpha = jnp.log(jnp.float32(TEMPERATURE))
        opt_state = optimizer.init((params, log_alpha))
        return LearnerState(params, params["critic"], log_alpha, opt_state)

    def step(
        key: Key, state: LearnerState, batch: LogBatch
    ) -> tuple[LearnerState, dict[str, jax.Array]]:
        del key
        check_batch(batch, network)
        learned = (state.params, state.log_alpha)
        grads, losses = jax.grad(total, has_aux=True)(learned, targets(state, batch), batch)
        rates = jax.tree.map(lambda _: hp.lr, state.params), hp.temperature_lr
        updates, opt_state = optimizer.update(grads, state.opt_state, learned)
        moved = jax.tree.map(lambda x, u, lr: x - lr * u, learned, updates, rates)
        target = optax.incremental_update(moved[0]["critic"], state.target, hp.tau)
        return LearnerState(moved[0], target, moved[1], opt_state), losses

    return Learner(init, step, rewards, values, probabilities, act, network, hp)


def cross_entropy(logits: jax.Array, wanted: jax.Array) -> jax.Array:
    """Cross-entropy of softmaxes with probabilities, ``[B, K], [B, K] -> [B]``."""
    return -jnp.sum(wanted * jax.nn.log_softmax(logits, axis=-1), axis=-1)


def offline(learner: Learner, batch_size: int) -> Algorithm:
    """Make an ``Algorithm`` for ``simulate`` and ``rollout`` that draws its batches from a log.

    Its ``init`` takes a key and draws the weights; its ``step`` takes the :class:`LogRows` as
    inputs.

    Args:
        learner: of :func:`sl_mgac`.
        batch_size: ``B``, a multiple of the groups.

    Raises:
        ValueError: for another learner; in ``step`` for rows of other features or groups, or
            another batch size.
    """
    checks.instance("learner", learner, Learner, "sl_mgac.sl_mgac(network)")
    batch_size = checks.whole("batch_size", batch_size, 1)
    network = learner.network

    def init(params: Key) -> LearnerState:
        return learner.init(params)

    def step(key: Key, state: LearnerState, inputs: LogRows) -> tuple[LearnerState, dict]:
        checks.instance("inputs", inputs, LogRows, "sl_mgac.log_rows(...)")
        found = (inputs.features.shape[1], inputs.starts.shape[0])
        if found != (network.num_features, network.num_groups):
            raise ValueError(
                f"inputs: expected rows of {network.num_features} features and "
                f"{network.num_groups} groups like network, got {found[0]} and {found[1]}"
            )
        return learner.step(key, state, sample_rows(key, inputs, batch_size))

    return Algorithm(init, step)


def fit(
    key: Key, learner: Learner, rows: LogRows, *, num_steps: int, batch_size: int = 128
) -> Params:
    """Train on a log and return the weights; compiled as one program.

    Args:
        key: consumed.
        learner: of :func:`sl_mgac`.
        rows: of :func:`jaxswarm.systems.sl_mgac.log_rows`.
        num_steps: gradient steps, at least 1.
        batch_size: ``B``, a multiple of the groups.

    Raises:
        ValueError: as :func:`offline`.
    """
    algorithm = offline(learner, batch_size)
    num_steps = checks.whole("num_steps", num_steps, 1)

    @jax.jit
    def train(key: Key, rows: LogRows) -> Params:
        init_key, key = jax.random.split(key)

        def step(state: LearnerState, key: Key) -> tuple[LearnerState, None]:
            return algorithm.step(key, state, rows)[0], None

        keys = jax.random.split(key, num_steps)
        return jax.lax.scan(step, learner.init(init_key), keys)[0].params

    return train(checks.key(key), checks.instance("rows", rows, LogRows, "sl_mgac.log_rows(...)"))


def check_batch(batch: LogBatch, network: GroupNetwork) -> LogBatch:
    """Check the shapes of a batch, and its actions, groups and times where they are known.

    Raises:
        ValueError: naming the field.
    """
    checks.instance("batch", batch, LogBatch, "sl_mgac.sample_rows(key, rows, 128)")
    checks.numbers("batch.features", batch.features, (None, network.num_features))
    count = len(batch.features)
    checks.wholes("batch.action", batch.action, 0, 1, shape=(count,))
    checks.wholes("batch.group", batch.group, 0, network.num_groups - 1, shape=(count,))
    checks.real("batch.times", batch.times, 0.0, shape=(count, 2))
    return batch


def check_hyperparameters(hp: Any, num_groups: int) -> Hyperparameters:
    """Check the known numbers and return all; traced ones pass.

    Raises:
        ValueError: naming the number, what was expected and what came.
    """
    checks.instance("hyperparameters", hp, Hyperparameters, "sl_mgac.Hyperparameters()")
    for name in ("lr", "temperature_lr", "multiplier"):
        checks.real(name, getattr(hp, name), 0.0)
    checks.real("tau", hp.tau, 0.0, 1.0, above=0.0)
    checks.real("target_entropy", hp.target_entropy, 0.0, math.log(2.0))
    for name in ("discount", "night_discount"):
        checks.probability(name, getattr(hp, name))
    shape = (num_groups,) if np.ndim(hp.exposure_cost) else ()
    checks.real("exposure_cost", hp.exposure_cost, 0.0, shape=shape)
    checks.real("value_mean", hp.value_mean)
    checks.real("value_std", hp.value_std, above=0.0)
    for name in SWITCHES:
        given = getattr(hp, name)
        if not checks.is_traced(given):
            checks.flag(name, bool(given) if hasattr(given, "dtype") else given)
    return hp
