"""Networked actor–critic with linear critics: private rewards, critics that gossip.

Every agent acts by its own policy, observes the state and the joint action, and gets its own reward
alone. With ``critic="value"`` (algorithm 2) it learns two linear functions, the *team's* relative
value ``φ(s)ᵀ v`` and the team's mean reward ``f(s, a)ᵀ λ``; with ``critic="action"`` (algorithm 1)
one, the team's relative action value ``f(s, a)ᵀ ω``: a local step on its own reward, then an
exchange with its neighbours. Its actor follows the advantage that these imply and is never sent.

Without any exchange each agent learns its own value and reward, and maximizes its own reward.

Shapes: ``N`` agents, ``S`` states, ``A`` actions, ``D`` value features, ``F`` reward features.

References:
    K. Zhang, Z. Yang, H. Liu, T. Zhang, T. Başar, Fully decentralized multi-agent reinforcement
    learning with networked agents, 2018 (algorithms 1 and 2).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.gossip.traffic import Ledger, Traffic
from jaxswarm.gossip.types import Exchange, GossipTransformation, require_support
from jaxswarm.rl.hyperparameters import POSITIVE, check_kind, check_ranges, choice
from jaxswarm.rl.networked.games import MarkovGame, joint_probabilities, require_game, solve
from jaxswarm.rl.networked.policies import Policies, product_policies
from jaxswarm.types import Key, PyTree

CRITICS = ("value", "action")


class Rates(NamedTuple):
    """Step sizes ``rate / t^decay`` at step ``t = 1, 2, …``; traced.

    The critics' must sum to infinity slower than their squares, and the actors' be the smaller ones
    in the long run; the decays are the paper's.

    Attributes:
        critic: of values, rewards and the average.
        critic_decay: in ``(0.5, 1]`` for convergence.
        actor: of the policies; 0 evaluates a fixed one.
        actor_decay: above ``critic_decay``.
    """

    critic: Any = 1.0
    critic_decay: Any = 0.65
    actor: Any = 1.0
    actor_decay: Any = 0.85


class Features(NamedTuple):
    """Tables of features.

    Attributes:
        value: ``float32[S, D]``; no combination of its columns may be the same for all states.
        reward: ``float32[S, J, F]``, of states and joint actions.
    """

    value: jax.Array
    reward: jax.Array


class NetworkedState(NamedTuple):
    """State of all agents and of the game.

    Attributes:
        actors: ``float32[N, S, A]`` logits, or of the policies' shape.
        critics: ``{"value": [N, D], "reward": [N, F]}``, or ``{"action": [N, F]}``: what is
            exchanged.
        average_reward: ``float32[N]``, each agent's estimate of its own long-run mean reward.
        gossip: state of the gossip rule.
        game_state: ``int32[]``.
        time: ``int32[]``, steps so far.
        ledger: messages and bytes so far.
    """

    actors: jax.Array
    critics: dict[str, jax.Array]
    average_reward: jax.Array
    gossip: PyTree
    game_state: jax.Array
    time: jax.Array
    ledger: Ledger


class NetworkedInfo(NamedTuple):
    """``reward float32[N]``: private rewards of the step; ``traffic``: its messages and bytes."""

    reward: jax.Array
    traffic: Traffic


def networked_actor_critic(
    game: MarkovGame,
    features: Features,
    gossip: GossipTransformation,
    *,
    critic: str = "value",
    rates: Rates | None = None,
    policies: Policies | None = None,
) -> Algorithm:
    """Make the published learner: one transition of the game per step.

    Args:
        game: whose private rewards are drawn around their means (uniform, ±0.5).
        features: of values and rewards; see :func:`random_features`, :func:`additive_features`.
        gossip: rule by which critics are exchanged after the local step: any, also compressed,
            delayed, robust or attacked. ``gossip.averaging(mixing)`` is the paper's.
        critic: ``"value"`` for algorithm 2; ``"action"`` for algorithm 1, whose advantage is the
            action value less its mean over the agent's own actions. The next action in its
            temporal difference is drawn anew.
        rates: used where ``step`` gets ``None`` as inputs; the paper's decays if omitted.
        policies: joint policy; independent given the state if omitted, see
            :func:`product_policies`. :func:`jaxswarm.systems.bn_actor_critic.bayesian_policies`
            makes policies that depend on other agents' actions, for ``critic="value"``.

    Returns:
        ``init(actors) -> NetworkedState``, from logits of the policies' shape, ``[N, S, A]``, and
        ``step(key, state, inputs)`` whose inputs are :class:`Rates` or ``None``.

    Raises:
        ValueError: features of other sizes than the game's, rates that are negative, no gossip
            rule; while mixing, what the rule refuses.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import gossip, topology
        >>> from jaxswarm.rl import networked
        >>> game = networked.dilemma(4)
        >>> ring = gossip.averaging(gossip.mixing(topology.ring(4)))
        >>> features = networked.additive_features(game)
        >>> learner = networked.networked_actor_critic(game, features, ring)
        >>> state = learner.init(jnp.zeros((4, 2, 2)))
        >>> state, info = learner.step(jax.random.key(0), state)
        >>> info.reward.shape, int(info.traffic.messages)
        ((4,), 8)
    """
    n = require_game(game).num_agents
    check_features(game, features)
    require_support(gossip, purpose="networked_actor_critic")
    choice("critic", critic, CRITICS)
    if policies is not None and critic == "action":
        raise ValueError('policies: expected None for critic="action", got some')
    policies = product_policies(game) if policies is None else policies
    checks.instance("policies", policies, Policies, "networked.product_policies(game)")
    rates = check_rates(Rates() if rates is None else rates, "rates")

    def init(actors: jax.Array) -> NetworkedState:
        checks.real("actors", actors, shape=None)
        if jnp.shape(actors) != policies.shape:
            raise ValueError(f"actors: expected logits {policies.shape}, got {jnp.shape(actors)}")
        critics = {"reward": jnp.zeros((n, features.reward.shape[-1]))}
        if critic == "value":
            critics = {"value": jnp.zeros((n, features.value.shape[-1])), **critics}
        else:
            critics = {"action": critics["reward"]}
        return NetworkedState(
            jnp.asarray(actors, jnp.float32),
            critics,
            jnp.zeros(n),
            gossip.init(critics),
            jnp.int32(0),
            jnp.int32(0),
            Ledger.empty(),
        )

    def play(
        key: Key, reward_key: Key, state: NetworkedState, actions: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """The game's next state, and private rewards ``[N]``."""
        joint = game.joint(actions)
        probabilities = game.transition[state.game_state, joint]
        next_state = jax.random.choice(key, game.num_states, p=probabilities).astype(jnp.int32)
        noise = jax.vmap(lambda k: jax.random.uniform(k, minval=-0.5, maxval=0.5))
        reward = game.reward[:, state.game_state, joint] + noise(agents.keys(reward_key, n))
        return next_state, reward

    def step(
        key: Key, state: NetworkedState, inputs: Rates | None = None
    ) -> tuple[NetworkedState, NetworkedInfo]:
        checks.instance("state", state, NetworkedState, "what init returns")
        now = rates if inputs is None else check_rates(inputs, "inputs")
        action_key, game_key, reward_key, gossip_key = jax.random.split(checks.key(key), 4)
        t = (state.time + 1).astype(jnp.float32)
        critic_rate = now.critic / t**now.critic_decay
        actor_rate = now.actor / t**now.actor_decay

        actions = policies.sample(action_key, state.actors, state.game_state)
        next_state, reward = play(game_key, reward_key, state, actions)

        if critic == "value":
            critics, advantage = value_step(
                features, game, state, actions, next_state, reward, critic_rate
            )
        else:
            next_actions = policies.sample(
                jax.random.fold_in(action_key, 1), state.actors, next_state
            )
            after = (next_state, next_actions)
            critics, advantage = action_step(
                features, game, state, actions, after, reward, critic_rate
            )
        actors = policies.ascend(state.actors, state.game_state, actions, actor_rate * advantage)
        critics, gossip_state, traffic = gossip.mix(
            gossip_key, critics, state.gossip, Exchange(state.time)
        )
        new_state = NetworkedState(
            actors,
            critics,
            state.average_reward + critic_rate * (reward - state.average_reward),
            gossip_state,
            next_state,
            state.time + 1,
            state.ledger.add(traffic),
        )
        return new_state, NetworkedInfo(reward, traffic)

    return Algorithm(init, step)  # type: ignore[arg-type]


def value_step(
    features: Features,
    game: MarkovGame,
    state: NetworkedState,
    actions: jax.Array,
    next_state: jax.Array,
    reward: jax.Array,
    rate: jax.Array,
) -> tuple[dict[str, jax.Array], jax.Array]:
    """Algorithm 2: critics after the local step, and advantages ``[N]``."""
    phi, next_phi = features.value[state.game_state], features.value[next_state]
    f = features.reward[state.game_state, game.joint(actions)]
    v, lam = state.critics["value"], state.critics["reward"]
    value_change = v @ next_phi - v @ phi
    td_error = reward - state.average_reward + value_change
    critics = {
        "value": v + rate * td_error[:, None] * phi[None, :],
        "reward": lam + rate * (reward - lam @ f)[:, None] * f[None, :],
    }
    return critics, lam @ f - state.average_reward + value_change


def action_step(
    features: Features,
    game: MarkovGame,
    state: NetworkedState,
    actions: jax.Array,
    after: tuple[jax.Array, jax.Array],
    reward: jax.Array,
    rate: jax.Array,
) -> tuple[dict[str, jax.Array], jax.Array]:
    """Algorithm 1: critics after the local step, and advantages ``[N]``.

    ``after`` is the next state and a joint action there.
    """
    n, omega = game.num_agents, state.critics["action"]
    f = features.reward[state.game_state, game.joint(actions)]
    next_f = features.reward[after[0], game.joint(after[1])]
    value = omega @ f
    td_error = reward - state.average_reward + omega @ next_f - value
    critics = {"action": omega + rate * td_error[:, None] * f[None, :]}

    def own_choices(i: jax.Array) -> jax.Array:
        """Action values ``[A]`` of agent ``i``'s actions, the others' given."""
        joint = jax.vmap(lambda a: game.joint(actions.at[i].set(a)))(jnp.arange(game.num_actions))
        return features.reward[state.game_state, joint] @ omega[i]

    choices = jax.vmap(own_choices)(jnp.arange(n))
    policy = jax.nn.softmax(state.actors[:, state.game_state])
    return critics, value - jnp.sum(policy * choices, axis=1)


def random_features(
    game: MarkovGame, num_value: int, num_reward: int, *, seed: int = 0
) -> Features:
    """Draw features uniformly in ``[0, 1]``, as in the paper's first experiment.

    Args:
        game: whose sizes are meant.
        num_value: ``D``, below the number of states.
        num_reward: ``F``.
        seed: of the features.

    Raises:
        ValueError: fewer than one feature, or as many value features as states (then a combination
            of them is constant, and the limit is not unique).
    """
    require_game(game)
    num_value, num_reward = (
        checks.whole("num_value", num_value),
        checks.whole("num_reward", num_reward, 1),
    )
    seed = checks.whole("seed", seed)
    if not 1 <= num_value < game.num_states:
        raise ValueError(
            f"num_value: expected 1 to {game.num_states - 1} for {game.num_states} states, "
            f"got {num_value}"
        )
    rng = np.random.default_rng(seed)
    joint = game.num_actions**game.num_agents
    return Features(
        jnp.asarray(rng.uniform(size=(game.num_states, num_value)), jnp.float32),
        jnp.asarray(rng.uniform(size=(game.num_states, joint, num_reward)), jnp.float32),
    )


def additive_features(game: MarkovGame) -> Features:
    """Make features that represent rewards exactly if these are sums over agents' actions.

    Values: one column per state but the first. Rewards: ``[S (1 + N (A − 1))]``, a constant and
    every agent's action (but its first) in each state.
    """
    require_game(game)
    S, n, size = game.num_states, game.num_agents, game.num_actions
    chosen = np.eye(size)[game.actions()][:, :, 1:].reshape(-1, n * (size - 1))  # [J, …]
    each = np.concatenate([np.ones((len(chosen), 1)), chosen], axis=1)
    reward = np.einsum("st,jf->sjtf", np.eye(S), each).reshape(S, len(each), -1)
    return Features(jnp.asarray(np.eye(S)[:, 1:], jnp.float32), jnp.asarray(reward, jnp.float32))


def critic_fixed_point(
    game: MarkovGame, features: Features, policy: np.ndarray
) -> dict[str, np.ndarray]:
    """Limit of all critics under a fixed policy: ``{"value": [D], "reward": [F]}``.

    The fixed point of temporal differences on the agents' *mean* reward, and the least-squares fit
    of that mean, both weighted by the stationary distribution of states and joint actions.

    Args:
        game: with few states and joint actions.
        features: linearly independent.
        policy: ``[N, S, A]`` probabilities.

    Raises:
        ValueError: for features or a policy of other sizes than the game's.
    """
    check_features(game, features)
    if np.ndim(policy) != 3:
        raise ValueError(f"policy: expected probabilities [N, S, A], got shape {np.shape(policy)}")
    solved = solve(game, policy)
    occupancy = solved.stationary[:, None] * joint_probabilities(game, policy)  # [S, J]
    P = np.einsum(
        "sj,sjt->st",
        occupancy / solved.stationary[:, None],
        np.asarray(game.transition, np.float64),
    )
    mean = np.asarray(game.reward, np.float64).mean(axis=0)
    phi = np.asarray(features.value, np.float64)
    weighted = phi.T * solved.stationary[None, :]
    r = (occupancy * mean).sum(axis=1) / solved.stationary
    value = np.linalg.solve(weighted @ (phi - P @ phi), weighted @ (r - solved.average))
    flat = np.asarray(features.reward, np.float64).reshape(-1, features.reward.shape[-1])
    weight = occupancy.reshape(-1)
    gram = (flat.T * weight) @ flat
    reward = np.linalg.lstsq(gram, (flat.T * weight) @ mean.reshape(-1), rcond=None)[0]
    return {"value": value, "reward": reward}


def check_features(game: MarkovGame, features: Features) -> None:
    """Refuse features of other sizes than the game's.

    Raises:
        ValueError: naming them.
    """
    require_game(game)
    checks.instance("features", features, Features, "networked.additive_features(game)")
    S, joint = game.num_states, game.num_actions**game.num_agents
    if jnp.ndim(features.value) != 2 or features.value.shape[0] != S:
        raise ValueError(f"features.value: expected [{S}, D], got {jnp.shape(features.value)}")
    if jnp.ndim(features.reward) != 3 or features.reward.shape[:2] != (S, joint):
        raise ValueError(
            f"features.reward: expected [{S}, {joint}, F], got {jnp.shape(features.reward)}"
        )
    for name in ("value", "reward"):
        checks.real(f"features.{name}", getattr(features, name), shape=None)


def check_rates(rates: Rates, name: str) -> Rates:
    """Check the known numbers of step sizes and return them; traced ones pass.

    Raises:
        ValueError: for another type, or naming a number that is negative or not finite.
    """
    check_kind(rates, Rates, name)
    check_ranges(rates, dict.fromkeys(Rates._fields, POSITIVE))
    return rates
