"""Training of PPO on a curriculum of levels: one loop for DR, PLR, ACCEL, DRED and uniform replay.

An iteration draws levels to train on, replayed from a buffer or new ones, and new levels that are
only evaluated; collects on all of them; updates the networks with PPO from the former; and records
scores in the buffer. Published methods alternate at random between iterations that train and
iterations that evaluate; here each iteration does both, with numbers of levels in that ratio, so
that methods and seeds run as one ``vmap`` without branches.

Shapes: ``T`` steps, ``E`` levels to train on, ``K`` new levels only evaluated, ``N`` agents.

References:
    M. Jiang et al., Replay-guided adversarial environment design, 2021 (robust PLR).
    J. Parker-Holder et al., Evolving curricula with regret-based environment design, 2022 (ACCEL).
    S. Garcin et al., DRED: zero-shot transfer in reinforcement learning via data-regularised
    environment design, 2024.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.envs import SwarmEnvironment
from jaxswarm.rl.curriculum._buffer import (
    LevelBuffer,
    ReplayHyperparameters,
    check_replay,
    insert_levels,
    level_buffer,
    num_levels,
    replay_weights,
    sample_levels,
    update_levels,
)
from jaxswarm.rl.curriculum._generators import LevelGenerator, select_levels
from jaxswarm.rl.curriculum._levels import level_params
from jaxswarm.rl.curriculum._scores import episode_returns, level_scores
from jaxswarm.rl.hyperparameters import check_weights
from jaxswarm.rl.networks import Network
from jaxswarm.rl.on_policy import OnPolicyRunner
from jaxswarm.rl.ppo_loss import PPOHyperparameters, check_hyperparameters
from jaxswarm.rl.ppo_update import default_optimizer, ppo_update, update_shared
from jaxswarm.rl.returns import masked_mean
from jaxswarm.types import ArrayLike, Key, Params, PyTree


class CurriculumState(NamedTuple):
    """State of the learner.

    Attributes:
        params: weights ``{"actor", "critic"}`` that agents share.
        opt_state: of the optimizer.
        buffer: levels with their scores.
    """

    params: Params
    opt_state: PyTree
    buffer: LevelBuffer


class CurriculumInfo(NamedTuple):
    """Metrics of an iteration; ``[]`` each but the last four.

    Attributes:
        policy_loss: clipped surrogate, negated.
        value_loss: half the squared error of the critic.
        entropy: of the policy.
        kl: estimated divergence of the new policy from the collecting one.
        clip_fraction: share of ratios outside the clip range, in ``[0, 1]``.
        reward: mean reward per agent and step on the levels trained on.
        mean_return: mean return of the episodes that ended on the levels trained on.
        solved: share of the levels trained on with an episode of positive return.
        index: ``int32[E]``, slots of the levels drawn for replay.
        replayed: ``bool[E]``, where the level trained on was that of the slot, not a new one.
        score: ``float32[E]``, of the levels trained on.
        new_score: ``float32[K]``, of the new levels.
    """

    policy_loss: jax.Array
    value_loss: jax.Array
    entropy: jax.Array
    kl: jax.Array
    clip_fraction: jax.Array
    reward: jax.Array
    mean_return: jax.Array
    solved: jax.Array
    index: jax.Array
    replayed: jax.Array
    score: jax.Array
    new_score: jax.Array


def level_curriculum(
    env: SwarmEnvironment,
    network: Network,
    generator: LevelGenerator | None = None,
    *,
    capacity: int = 4000,
    protected: ArrayLike = True,
    num_envs: int = 16,
    num_new: int = 0,
    num_steps: int = 64,
    epochs: int = 4,
    minibatches: int = 4,
    optimizer: optax.GradientTransformation | None = None,
    hyperparameters: PPOHyperparameters | None = None,
    replay: ReplayHyperparameters | None = None,
    normalize: bool = True,
) -> Algorithm:
    """Make a PPO learner on a curriculum of levels; the named methods are choices of it.

    Agents share weights. Every iteration starts episodes anew, and an environment plays its level
    again when an episode ends, so ``num_steps`` should be the time limit or more: returns are of
    episodes that end.

    Args:
        env: environment, not wrapped, whose physics hold a level, see :func:`with_levels`.
        network: from :func:`jaxswarm.rl.network_for`, for instance.
        generator: of new levels; needed if ``num_new > 0`` or not all levels are replayed.
        capacity: of the buffer, at least the starting set.
        protected: levels of the starting set are never evicted; may be traced.
        num_envs: ``E``, levels to train on in an iteration.
        num_new: ``K``, new levels in an iteration that are evaluated without gradients.
        num_steps: ``T``.
        epochs: passes over the transitions.
        minibatches: a divisor of ``E N`` (recurrent networks) or ``T E N``.
        optimizer: gives the direction, which is then scaled by ``-lr``; PPO's default if omitted.
        hyperparameters: of PPO, may be traced.
        replay: how levels are replayed, may be traced.
        normalize: bring the advantages of one iteration to mean 0 and standard deviation 1.

    Returns:
        ``init(params, levels) -> CurriculumState`` with a starting set of at least ``E`` levels,
        leaves ``[P, …]``, and ``step(key, state) -> (state, CurriculumInfo)``.

    Raises:
        ValueError: sizes out of range, a missing generator, hyper-parameters out of range; in
            ``init``, fewer levels than environments, or levels that do not fit the environment.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import envs, rl
        >>> from jaxswarm.rl import curriculum
        >>> env = curriculum.with_levels(envs.SimpleSpread(2, time_limit=4), jnp.zeros((2, 2)),
        ...                              lambda key, world, at: world._replace(position=at))
        >>> network = rl.network_for(env, widths=(8,))
        >>> learner = curriculum.level_curriculum(
        ...     env, network, capacity=4, num_envs=2, num_steps=4, epochs=1, minibatches=1)
        >>> params = rl.initialize(jax.random.key(0), network, 2, shared=True)
        >>> state = learner.init(params, jnp.zeros((3, 2, 2)))  # a starting set of three levels
        >>> state, info = jax.eval_shape(learner.step, jax.random.key(2), state)
        >>> info.score.shape  # of the levels trained on
        (2,)
    """
    num_envs, num_new = checks.whole("num_envs", num_envs, 1), checks.whole("num_new", num_new)
    capacity = checks.whole("capacity", capacity, 1)
    ppo = PPOHyperparameters() if hyperparameters is None else hyperparameters
    check_hyperparameters(ppo)
    hp = check_replay(ReplayHyperparameters() if replay is None else replay)
    only_replays = not checks.is_traced(hp.replay) and float(hp.replay) == 1.0
    if generator is None and (num_new or not only_replays):
        raise ValueError("generator: expected one, since levels are not only replayed, got None")
    if generator is not None:
        checks.function("generator", generator)
    runner = OnPolicyRunner(env, network, num_envs + num_new, True)
    optimizer = default_optimizer() if optimizer is None else optimizer
    update = update_shared(
        ppo_update(
            network,
            optimizer,
            num_sequences=num_envs * env.num_agents,
            num_steps=num_steps,
            epochs=epochs,
            minibatches=minibatches,
            normalize=normalize,
        )
    )

    def init(params: Params, levels: PyTree) -> CurriculumState:
        check_weights(params, network.init, None)
        count = num_levels(levels)
        if count < num_envs:
            raise ValueError(
                f"levels: expected at least num_envs = {num_envs} in the starting set, got {count}"
            )
        level_params(env, jax.tree.map(lambda x: x[0], levels))
        buffer = level_buffer(levels, capacity, protected=protected)
        return CurriculumState(params, optimizer.init(params), buffer)

    def draw(key: Key, buffer: LevelBuffer) -> tuple[jax.Array, jax.Array, PyTree]:
        """Slots drawn for replay, where they are used, and levels of all environments."""
        sample_key, parent_key, new_key, choice_key = jax.random.split(key, 4)
        index = sample_levels(sample_key, buffer, hp, num_envs)
        levels = _take(buffer, index)
        replayed = jax.random.bernoulli(choice_key, hp.replay, (num_envs,))
        if generator is None:
            return index, replayed, levels
        count = num_new if only_replays else num_envs + num_new
        if not count:
            return index, replayed, levels
        support = jnp.where(jnp.any(buffer.protected), buffer.protected, buffer.filled)
        logits = jnp.where(support, 0.0, -jnp.inf)
        starting = jax.random.categorical(parent_key, logits, shape=(count,))
        parents = _take(buffer, index[jnp.arange(count) % num_envs])
        new = generator(new_key, parents, _take(buffer, starting))
        if not only_replays:
            levels = select_levels(replayed, levels, jax.tree.map(lambda x: x[:num_envs], new))
            new = jax.tree.map(lambda x: x[num_envs:], new)
        return index, replayed, jax.tree.map(lambda *x: jnp.concatenate(x), levels, new)

    def step(
        key: Key, state: CurriculumState, inputs: None = None
    ) -> tuple[CurriculumState, CurriculumInfo]:
        checks.instance("state", state, CurriculumState, "what init returns")
        draw_key, reset_key, collect_key, update_key = jax.random.split(checks.key(key), 4)
        buffer = state.buffer
        index, replayed, levels = draw(draw_key, buffer)
        physics = jax.vmap(lambda level: jax.tree.map(jnp.asarray, level_params(env, level)))(
            levels
        )
        runner_state = runner.reset(reset_key, physics, per_env=True)
        carry = jax.tree.map(lambda x: x[:num_envs], runner_state.carry.recurrent)
        _, transitions, _ = runner.collect(collect_key, state.params, runner_state, num_steps)
        trained = jax.tree.map(lambda x: x[:, :num_envs], transitions)
        params, opt_state, metrics = update(
            update_key, state.params, state.opt_state, trained, carry, ppo
        )
        episodes = episode_returns(transitions.reward, transitions.last)
        known = jnp.where(replayed, buffer.best_return[index], -jnp.inf)
        best = episodes.best.at[:num_envs].max(known)
        scores = level_scores(transitions, best, ppo.discount, ppo.gae_lambda)
        score = jnp.take(scores, jnp.asarray(hp.score), axis=0)
        buffer = update_levels(
            buffer, index, score[:num_envs], best_return=best[:num_envs], valid=replayed
        )
        fresh = jnp.concatenate([~replayed, jnp.ones(num_new, bool)])
        if num_new or not only_replays:
            buffer = insert_levels(
                buffer, levels, score, best_return=best, valid=fresh, grounded=hp.retain_grounded
            )
        ended = episodes.count[:num_envs] > 0
        info = CurriculumInfo(
            **metrics,
            reward=masked_mean(trained.reward, trained.mask),
            mean_return=masked_mean(episodes.mean[:num_envs], ended),
            solved=jnp.mean(episodes.best[:num_envs] > 0.0),
            index=index,
            replayed=replayed,
            score=score[:num_envs],
            new_score=score[num_envs:],
        )
        return CurriculumState(params, opt_state, buffer._replace(clock=buffer.clock + 1)), info

    return Algorithm(init, step)  # type: ignore[arg-type]


def replayed_levels(
    key: Key, buffer: LevelBuffer, replay: ReplayHyperparameters, count: int
) -> PyTree:
    """Draw levels with replacement by their replay weights, leaves ``[count, …]``.

    Args:
        key: consumed.
        buffer: of levels.
        replay: how levels are replayed.
        count: at least 1, static.

    Raises:
        ValueError: as :func:`replay_weights`.
    """
    checks.key(key)
    count = checks.whole("count", count, 1)
    logits = jnp.log(replay_weights(buffer, replay))
    return _take(buffer, jax.random.categorical(key, logits, shape=(count,)))


def _take(buffer: LevelBuffer, index: jax.Array) -> PyTree:
    return jax.tree.map(lambda x: x[index], buffer.levels)
