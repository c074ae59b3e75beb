"""The networked actor–critic with linear critics: private rewards, critics that gossip.

Every agent acts by its own policy, sees state and joint action, and is told its own reward alone.
It learns two linear functions, the *team's* relative value ``φ(s)ᵀ v`` and the team's mean reward
``f(s, a)ᵀ λ``: a local step on its own reward, then an exchange with its neighbours. Its actor
follows the advantage that both imply and is never sent.

Without any exchange each agent learns its own value and reward, and looks after itself.

Shapes: ``N`` agents, ``S`` states, ``A`` actions, ``D`` value features, ``F`` reward features.

References:
    K. Zhang, Z. Yang, H. Liu, T. Zhang, T. Başar, Fully decentralized multi-agent reinforcement
    learning with networked agents, 2018 (algorithm 2).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents
from jaxswarm.algorithm import Algorithm
from jaxswarm.gossip.traffic import Ledger, Traffic
from jaxswarm.gossip.types import Exchange, GossipTransformation
from jaxswarm.rl.networked.games import MarkovGame, joint_probabilities, solve
from jaxswarm.rl.networked.policies import Policies, product_policies

PyTree = Any


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
    """Of all agents.

    Attributes:
        actors: ``float32[N, S, A]`` logits, or of the policies' shape.
        critics: ``{"value": [N, D], "reward": [N, F]}``, what is exchanged.
        average: ``float32[N]``, each agent's own long-run mean reward.
        gossip: the rule's memory.
        place: ``int32[]``, the game's state.
        time: ``int32[]``, steps so far.
        ledger: messages and bytes so far.
    """

    actors: jax.Array
    critics: dict[str, jax.Array]
    average: jax.Array
    gossip: PyTree
    place: jax.Array
    time: jax.Array
    ledger: Ledger


class NetworkedInfo(NamedTuple):
    """``reward [N]``, the private ones of this step, and what it sent."""

    reward: jax.Array
    traffic: Traffic


def networked_actor_critic(
    game: MarkovGame,
    features: Features,
    gossip: GossipTransformation,
    *,
    rates: Rates = Rates(),  # noqa: B008
    policies: Policies | None = None,
) -> Algorithm:
    """One transition of the game a step, as published.

    Args:
        game: whose private rewards are drawn around their means (uniform, ±0.5).
        features: of values and rewards; see :func:`random_features`, :func:`additive_features`.
        gossip: how critics are exchanged after the local step: any rule, compressed, delayed,
            robust, attacked. ``gossip.averaging(mixing)`` is the paper's.
        rates: used where ``step`` gets ``None`` as inputs.
        policies: how agents act; by the state alone if omitted, see :func:`product_policies`, and
            :func:`jaxswarm.systems.bn_actor_critic.bayesian_policies` for agents that hear each other.

    Returns:
        ``init(actors) -> NetworkedState``, from logits of the policies' shape, ``[N, S, A]``, and
        ``step(key, state, inputs)`` whose inputs are :class:`Rates` or ``None``.

    Raises:
        ValueError: features of other sizes than the game's; while mixing, what the rule refuses.
    """
    n = game.num_agents
    check_features(game, features)
    act = product_policies(game) if policies is None else policies

    def init(actors: jax.Array) -> NetworkedState:
        if jnp.shape(actors) != act.shape:
            raise ValueError(f"actors: expected logits {act.shape}, got {jnp.shape(actors)}")
        critics = {
            "value": jnp.zeros((n, features.value.shape[-1])),
            "reward": jnp.zeros((n, features.reward.shape[-1])),
        }
        return NetworkedState(
            jnp.asarray(actors, jnp.float32),
            critics,
            jnp.zeros(n),
            gossip.init(critics),
            jnp.int32(0),
            jnp.int32(0),
            Ledger.empty(),
        )

    def step(
        key: jax.Array, state: NetworkedState, inputs: Rates | None = None
    ) -> tuple[NetworkedState, NetworkedInfo]:
        p = rates if inputs is None else inputs
        act_key, move_key, reward_key, gossip_key = jax.random.split(key, 4)
        t = (state.time + 1).astype(jnp.float32)
        critic_rate = p.critic / t**p.critic_decay
        actor_rate = p.actor / t**p.actor_decay

        acts = act.choose(act_key, state.actors, state.place)
        joint = game.joint(acts)
        chance = game.transition[state.place, joint]
        after = jax.random.choice(move_key, game.num_states, p=chance).astype(jnp.int32)
        luck = jax.vmap(lambda k: jax.random.uniform(k, minval=-0.5, maxval=0.5))
        reward = game.reward[:, state.place, joint] + luck(agents.keys(reward_key, n))

        here, there = features.value[state.place], features.value[after]
        seen = features.reward[state.place, joint]
        value, model = state.critics["value"], state.critics["reward"]
        gain = value @ there - value @ here
        surprise = reward - state.average + gain
        stepped = {
            "value": value + critic_rate * surprise[:, None] * here[None, :],
            "reward": model + critic_rate * (reward - model @ seen)[:, None] * seen[None, :],
        }
        advantage = model @ seen - state.average + gain
        actors = act.ascend(state.actors, state.place, acts, actor_rate * advantage)
        critics, memory, sent = gossip.mix(gossip_key, stepped, state.gossip, Exchange(state.time))
        new = NetworkedState(
            actors,
            critics,
            state.average + critic_rate * (reward - state.average),
            memory,
            after,
            state.time + 1,
            state.ledger.add(sent),
        )
        return new, NetworkedInfo(reward, sent)

    return Algorithm(init, step)  # type: ignore[arg-type]


def random_features(
    game: MarkovGame, num_value: int, num_reward: int, *, seed: int = 0
) -> Features:
    """Uniform in ``[0, 1]``, as in the paper's first experiment.

    Raises:
        ValueError: fewer than one feature, or as many value features as states (then a combination
            of them is constant, and the limit is not unique).
    """
    if not 1 <= num_value < game.num_states:
        raise ValueError(
            f"num_value: expected 1 to {game.num_states - 1} for {game.num_states} states, "
            f"got {num_value}"
        )
    if num_reward < 1:
        raise ValueError(f"num_reward: expected at least 1, got {num_reward}")
    rng = np.random.default_rng(seed)
    joint = game.num_actions**game.num_agents
    return Features(
        jnp.asarray(rng.uniform(size=(game.num_states, num_value)), jnp.float32),
        jnp.asarray(rng.uniform(size=(game.num_states, joint, num_reward)), jnp.float32),
    )


def additive_features(game: MarkovGame) -> Features:
    """Exact where rewards add up over agents: each state with each agent's action.

    Values: one column per state but the first. Rewards: ``[S (1 + N (A − 1))]``, a constant and
    every agent's action (but its first) in each state.
    """
    S, n, size = game.num_states, game.num_agents, game.num_actions
    chosen = np.eye(size)[game.actions()][:, :, 1:].reshape(-1, n * (size - 1))  # [J, …]
    each = np.concatenate([np.ones((len(chosen), 1)), chosen], axis=1)
    reward = np.einsum("st,jf->sjtf", np.eye(S), each).reshape(S, len(each), -1)
    return Features(jnp.asarray(np.eye(S)[:, 1:], jnp.float32), jnp.asarray(reward, jnp.float32))


def limit(game: MarkovGame, features: Features, policy: np.ndarray) -> dict[str, np.ndarray]:
    """What all critics converge to under a fixed policy: ``{"value": [D], "reward": [F]}``.

    The fixed point of temporal differences on the agents' *mean* reward, and the least-squares fit
    of that mean, both weighted by how often states and joint actions occur.

    Args:
        game: small.
        features: linearly independent.
        policy: ``[N, S, A]`` probabilities.
    """
    solved = solve(game, policy)
    chance = solved.stationary[:, None] * joint_probabilities(game, policy)  # [S, J]
    P = np.einsum(
        "sj,sjt->st", chance / solved.stationary[:, None], np.asarray(game.transition, np.float64)
    )
    mean = np.asarray(game.reward, np.float64).mean(axis=0)
    phi = np.asarray(features.value, np.float64)
    weigh = phi.T * solved.stationary[None, :]
    r = (chance * mean).sum(axis=1) / solved.stationary
    value = np.linalg.solve(weigh @ (phi - P @ phi), weigh @ (r - solved.average))
    flat = np.asarray(features.reward, np.float64).reshape(-1, features.reward.shape[-1])
    weight = chance.reshape(-1)
    gram = (flat.T * weight) @ flat
    model = np.linalg.lstsq(gram, (flat.T * weight) @ mean.reshape(-1), rcond=None)[0]
    return {"value": value, "reward": model}


def check_features(game: MarkovGame, features: Features) -> None:
    """Refuse features of other sizes than the game's.

    Raises:
        ValueError: naming them.
    """
    S, joint = game.num_states, game.num_actions**game.num_agents
    if jnp.ndim(features.value) != 2 or features.value.shape[0] != S:
        raise ValueError(f"features.value: expected [{S}, D], got {jnp.shape(features.value)}")
    if jnp.ndim(features.reward) != 3 or features.reward.shape[:2] != (S, joint):
        raise ValueError(
            f"features.reward: expected [{S}, {joint}, F], got {jnp.shape(features.reward)}"
        )
