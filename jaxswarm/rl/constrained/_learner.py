"""Actor–critics for several responses: one update for two-stage, scalarized and Pareto learners.

A learner has one **main** policy and, for two-stage methods, one **auxiliary** policy for each
auxiliary response. Every policy has its own critics, which learn by temporal differences, corrected
by the capped ratio of the policy to the one that was logged. In stage one the auxiliary policies
follow their policy gradients; in stage two the main policy maximizes the main response's advantage
minus ``Σ λ_i KL(π ‖ π_i)``. All policies of a stage are updated by one ``vmap`` over stacked
parameters. Which method it is, is a matter of numbers (:class:`ConstrainedHyperparameters`), which
may be traced.

Shapes: ``B`` items of a batch, ``m`` responses (the main one first), ``n`` auxiliary policies,
``C`` critics of a policy, ``K`` actions of a discrete choice.

References:
    Q. Cai, Z. Xue, C. Zhang et al., Two-stage constrained actor-critic for short video
    recommendation, 2023 (TSCAC).
    C. Tessler, D. Mankowitz, S. Mannor, Reward constrained policy optimization, 2019 (RCPO).
    J.-A. Désidéri, Multiple-gradient descent algorithm (MGDA) for multiobjective optimization,
    2012.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm import checks
from jaxswarm.rl.constrained._closed_form import FLOOR, min_norm_weights
from jaxswarm.rl.constrained._network import check_plain
from jaxswarm.rl.constrained._numbers import (
    CLOSED_FORM,
    ConstrainedHyperparameters,
    check_hyperparameters,
)
from jaxswarm.rl.constrained._transitions import TransitionBatch
from jaxswarm.rl.networks import Network
from jaxswarm.types import Key, Params, PyTree


class PolicyState(NamedTuple):
    """State of one policy; of ``n`` auxiliary policies leaves lead with ``n``.

    Attributes:
        actor: weights.
        critics: weights, leaves ``[C, …]``.
        targets: of the target copies of the critics.
        multipliers: ``[m]``.
        gradients: moving averages of the ``m`` policy gradients, leaves ``[m, …]``; of Pareto
            learners only.
        opt_state: of Adam.
    """

    actor: Params
    critics: Params
    targets: Params
    multipliers: jax.Array
    gradients: PyTree
    opt_state: PyTree


class ConstrainedState(NamedTuple):
    """State of a learner: the ``main`` policy, and ``auxiliary`` policies or ``()``."""

    main: PolicyState
    auxiliary: Any = ()


class ConstrainedLearner(NamedTuple):
    """A learner of policies for several responses; ``init`` and ``step`` make it an ``Algorithm``.

    Attributes:
        init: ``init(key) -> ConstrainedState``.
        step: ``step(key, state, batch: TransitionBatch) -> (state, losses)``, both stages; losses
            is a dict of scalars, or ``[n]`` for auxiliary policies.
        stage_one: likewise, the auxiliary policies only.
        stage_two: likewise, the main policy only.
        log_prob: ``log_prob(state, features [B, F], action) -> [B]`` of the main policy; not for
            the closed form of continuous actions.
        probabilities: ``probabilities(state, features [B, F]) -> [B, K]``; discrete actions only.
        act: ``act(key, state, features [B, F]) -> [B]`` or raw actions ``[B, A]``.
        values: ``values(state, features [B, F]) -> [C, B]``, of the main policy's critics.
        network: the networks of one policy.
        hyperparameters: the numbers of the main policy.
        auxiliary_hyperparameters: of the auxiliary policies, stacked; ``()`` without.
    """

    init: Callable[[Key], ConstrainedState]
    step: Callable[..., tuple[ConstrainedState, dict[str, jax.Array]]]
    stage_one: Callable[..., tuple[ConstrainedState, dict[str, jax.Array]]]
    stage_two: Callable[..., tuple[ConstrainedState, dict[str, jax.Array]]]
    log_prob: Callable[..., jax.Array]
    probabilities: Callable[..., jax.Array]
    act: Callable[..., jax.Array]
    values: Callable[..., jax.Array]
    network: Network
    hyperparameters: ConstrainedHyperparameters
    auxiliary_hyperparameters: Any = ()


def constrained_learner(
    network: Network,
    hyperparameters: ConstrainedHyperparameters,
    *,
    auxiliary: Any = (),
    separate: bool = False,
    pareto: bool = False,
    decay_steps: int | None = None,
) -> ConstrainedLearner:
    """Make a learner of the family; the named methods are choices of its numbers.

    Args:
        network: of :func:`candidate_network` or :func:`jaxswarm.rl.actor_critic_network`; the head
            of an actor with continuous actions is best :func:`jaxswarm.rl.gaussian`.
        hyperparameters: the numbers of the main policy.
        auxiliary: the numbers of the ``n`` auxiliary policies, leaves ``[n, …]``, one critic each.
        separate: one critic for each response (``C = m``) instead of one for the weighted sum.
        pareto: average the responses' policy gradients, for their min-norm weights; only with
            ``separate``.
        decay_steps: updates over which step sizes decay to a twentieth; constant if omitted.

    Raises:
        ValueError: for known numbers out of range, shapes that do not fit, or a closed form of
            continuous actions.
    """
    check_plain(network)
    separate, pareto = checks.flag("separate", separate), checks.flag("pareto", pareto)
    hp = check_hyperparameters(hyperparameters, network, separate)
    if pareto and not separate:
        raise ValueError("pareto: expected separate critics, got separate=False")
    m, n = np.shape(hp.multipliers)[0], 0
    if auxiliary != ():
        checks.instance("auxiliary", auxiliary, ConstrainedHyperparameters)
        n = np.shape(auxiliary.multipliers)[0]
        if np.shape(hp.shares) != (n,):
            raise ValueError(
                f"shares: expected {n}, one for each auxiliary policy, got {np.shape(hp.shares)}"
            )
    length = None if decay_steps is None else checks.whole("decay_steps", decay_steps, 1)
    optimizer = optax.adam(1.0 if length is None else optax.linear_schedule(1.0, 0.05, length))
    discrete = len(network.head.num_options) == 1
    carry = network.initial_carry()
    stop = jax.lax.stop_gradient

    def actor_outputs(actor: Params, features: jax.Array) -> jax.Array:
        return jax.vmap(lambda x: network.actor(actor, carry["actor"], x)[1])(features)

    def critic_values(critics: Params, features: jax.Array) -> jax.Array:
        """Values ``[C, B]`` of stacked critics."""

        def one(critic: Params) -> jax.Array:
            return jax.vmap(lambda x: network.critic(critic, carry["critic"], x)[1])(features)

        return jax.vmap(one)(critics)

    def at_action(table: jax.Array, action: jax.Array) -> jax.Array:
        """Entries ``[B]`` of ``[B, K]``; a product with one-hot is quicker than a gather."""
        return jnp.sum(table * jax.nn.one_hot(action, table.shape[1]), axis=1)

    def log_probs(outputs: jax.Array, action: jax.Array) -> jax.Array:
        if discrete:
            return at_action(jax.nn.log_softmax(outputs), action)
        return jax.vmap(network.head.log_prob)(outputs, action)

    def nearby(
        state: ConstrainedState, features: jax.Array, action: jax.Array | None
    ) -> tuple[Any, jax.Array]:
        """``Σ shares log π_i``, of all actions ``[B, K]`` if discrete, and the share floored."""
        if not n:
            return 0.0, jnp.zeros(())

        def one(actor: Params) -> jax.Array:
            outputs = actor_outputs(actor, features)
            return jax.nn.log_softmax(outputs) if discrete else log_probs(outputs, action)  # type: ignore[arg-type]

        logs = jax.vmap(one)(stop(state.auxiliary.actor))
        floored = jnp.maximum(logs, np.log(FLOOR))
        taken = logs
        if discrete and action is not None:
            taken = jax.vmap(at_action, (0, None))(logs, action)
        return (
            jnp.tensordot(jnp.asarray(hp.shares, jnp.float32), floored, axes=1),
            jnp.mean(taken < np.log(FLOOR)),
        )

    def tilted(outputs: jax.Array, near: Any, hp: ConstrainedHyperparameters) -> jax.Array:
        """Logits of the policy: the actor's outputs, or those of the closed form."""
        if not discrete:
            return outputs
        closed = near + outputs / jnp.asarray(hp.temperature)
        return jnp.where(jnp.asarray(hp.rule) == CLOSED_FORM, closed, outputs)

    def init_policy(key: Key, hp: ConstrainedHyperparameters) -> PolicyState:
        actor = network.init(key)["actor"]
        keys = jax.random.split(jax.random.fold_in(key, 1), m if separate else 1)
        critics = jax.vmap(lambda k: network.init(k)["critic"])(keys)
        gradients: PyTree = ()
        if pareto:
            gradients = jax.tree.map(lambda x: jnp.zeros((m, *x.shape), x.dtype), actor)
        opt_state = optimizer.init({"actor": actor, "critics": critics})
        multipliers = jnp.asarray(hp.multipliers, jnp.float32)
        return PolicyState(actor, critics, critics, multipliers, gradients, opt_state)

    def update(
        key: Key, state: PolicyState, batch: TransitionBatch, hp: Any, near: Any
    ) -> tuple[PolicyState, dict[str, jax.Array]]:
        """Update one policy, its critics and its multipliers."""
        hp = jax.tree.map(jnp.asarray, hp)
        logged = jnp.log(batch.propensity)
        rewards = batch.rewards.T if separate else (batch.rewards @ state.multipliers)[None]
        ahead = critic_values(state.targets, batch.next_features)
        goal = rewards + hp.discounts[:, None] * jnp.where(batch.terminal[None], 0.0, ahead)

        def own_log_probs(actor: Params) -> tuple[jax.Array, jax.Array]:
            outputs = actor_outputs(actor, batch.features)
            return outputs, log_probs(tilted(outputs, near, hp), batch.action)

        def capped_ratio(own: jax.Array) -> jax.Array:
            return stop(jnp.minimum(jnp.exp(own - logged), hp.cap))

        def response_losses(actor: Params) -> jax.Array:
            """Policy losses of the responses, ``[m]``."""
            own = own_log_probs(actor)[1]
            gains = stop(goal - critic_values(state.critics, batch.features))
            return -jnp.mean((capped_ratio(own) * own)[None] * gains, axis=1)

        gradients, weights = state.gradients, state.multipliers
        if pareto:
            newest = jax.jacrev(response_losses)(state.actor)
            gradients = jax.tree.map(
                lambda old, new: old + hp.gradient_rate * (new - old), gradients, newest
            )
            flat = [x.reshape(m, -1) for x in jax.tree.leaves(gradients)]
            gram = sum((x @ x.T for x in flat), jnp.zeros((m, m)))
            scale = jnp.maximum(jnp.trace(gram) / m, 1e-20)
            common = m * min_norm_weights(gram / scale)
            weights = weights * jnp.where(hp.min_norm, common, 1.0)

        def loss(params: Params) -> tuple[jax.Array, dict[str, jax.Array]]:
            outputs, own = own_log_probs(params["actor"])
            ratio = capped_ratio(own)
            advantage = goal - critic_values(params["critics"], batch.features)
            critic = 0.5 * jnp.mean(ratio[None] * jnp.square(advantage), axis=1).sum()
            gains = stop(advantage)
            gain = weights @ gains if separate else gains[0]
            at = at_action(near, batch.action) if discrete and jnp.ndim(near) else near
            lifted = jnp.exp(jnp.minimum(at - logged + gain / hp.temperature, 50.0))
            rules = [ratio * gain, jnp.minimum(lifted, hp.cap), jnp.zeros_like(own)]
            likelihood = jnp.stack([*rules, jnp.ones_like(own)])[hp.rule]
            keys = jax.random.split(key, len(own))
            entropy = jnp.mean(jax.vmap(network.head.entropy)(keys, outputs))
            actor = -jnp.mean(likelihood * own) - hp.entropy * entropy
            if discrete:  # of the closed form the outputs are action values
                error = 0.5 * jnp.mean(jnp.square(at_action(outputs, batch.action) - goal[0]))
                actor = jnp.where(hp.rule == CLOSED_FORM, error, actor)
            size = jnp.square(ratio.sum()) / jnp.maximum(jnp.square(ratio).sum(), 1e-20)
            found = {"actor": actor, "critic": critic, "effective": size / len(own)}
            return actor + critic, found | {"ratio": ratio[None] @ batch.rewards / ratio.sum()}

        params = {"actor": state.actor, "critics": state.critics}
        grads, losses = jax.grad(loss, has_aux=True)(params)
        updates, opt_state = optimizer.update(grads, state.opt_state, params)
        directions: Any = updates
        rates = {"actor": hp.lr, "critics": hp.critic_lr}
        params = {
            name: jax.tree.map(
                lambda p, u, r=rates[name]: p + r * u, params[name], directions[name]
            )
            for name in params
        }
        means = losses.pop("ratio")[0, 1:]
        raised = state.multipliers[1:] + hp.dual_rate * (hp.thresholds - means)
        raised = jnp.where(hp.dual_rate > 0.0, jnp.clip(raised, 0.0, hp.largest_multiplier), raised)
        state = PolicyState(
            params["actor"],
            params["critics"],
            optax.incremental_update(params["critics"], state.targets, hp.tau),
            jnp.concatenate([state.multipliers[:1], raised]),
            gradients,
            opt_state,
        )
        return state, losses

    def init(key: Key) -> ConstrainedState:
        main_key, auxiliary_key = jax.random.split(checks.key(key))
        others: Any = ()
        if n:
            others = jax.vmap(init_policy)(jax.random.split(auxiliary_key, n), auxiliary)
        return ConstrainedState(init_policy(main_key, hp), others)

    def check_batch(batch: TransitionBatch) -> None:
        checks.instance("batch", batch, TransitionBatch, "constrained.sample(key, rows, 256)")
        checks.numbers("batch.rewards", batch.rewards, (None, m))

    def stage_one(
        key: Key, state: ConstrainedState, batch: TransitionBatch
    ) -> tuple[ConstrainedState, dict[str, jax.Array]]:
        check_batch(batch)
        if not n:
            return state, {}
        keys = jax.random.split(checks.key(key), n)
        over = jax.vmap(update, (0, 0, None, 0, None))
        others, losses = over(keys, state.auxiliary, batch, auxiliary, 0.0)
        return state._replace(auxiliary=others), losses

    def stage_two(
        key: Key, state: ConstrainedState, batch: TransitionBatch
    ) -> tuple[ConstrainedState, dict[str, jax.Array]]:
        check_batch(batch)
        near, floored = nearby(state, batch.features, batch.action)
        main, losses = update(checks.key(key), state.main, batch, hp, near)
        return state._replace(main=main), losses | {"floored": floored}

    def step(
        key: Key, state: ConstrainedState, batch: TransitionBatch
    ) -> tuple[ConstrainedState, dict[str, jax.Array]]:
        one, two = jax.random.split(checks.key(key))
        state, first = stage_one(one, state, batch)
        state, second = stage_two(two, state, batch)
        return state, {f"auxiliary {name}": value for name, value in first.items()} | second

    def logits(state: ConstrainedState, features: jax.Array) -> jax.Array:
        near = nearby(state, features, None)[0] if discrete else 0.0
        return tilted(actor_outputs(state.main.actor, features), near, hp)

    def log_prob(state: ConstrainedState, features: jax.Array, action: jax.Array) -> jax.Array:
        return log_probs(logits(state, checks.numbers("features", features, (None, None))), action)

    def probabilities(state: ConstrainedState, features: jax.Array) -> jax.Array:
        if not discrete:
            raise ValueError("probabilities: expected discrete actions, got continuous ones")
        return jax.nn.softmax(logits(state, checks.numbers("features", features, (None, None))))

    def act(key: Key, state: ConstrainedState, features: jax.Array) -> jax.Array:
        outputs = logits(state, checks.numbers("features", features, (None, None)))
        return jax.vmap(network.head.sample)(
            jax.random.split(checks.key(key), len(outputs)), outputs
        )

    def values(state: ConstrainedState, features: jax.Array) -> jax.Array:
        return critic_values(state.main.critics, features)

    return ConstrainedLearner(
        init,
        step,
        stage_one,
        stage_two,
        log_prob,
        probabilities,
        act,
        values,
        network,
        hp,
        auxiliary,
    )
