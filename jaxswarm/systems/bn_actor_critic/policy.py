"""The policy of a team: a graph drawn for what it sees, members who hear their parents act.

Everybody shares one network and is told who it is. From what all see, two small networks give the
logits of an order and of edges (a DeepSet: every pair of members, beside the sum over all), from
which the step's noise draws a graph. A member's head reads its own features and the one-hot actions
of its parents; the other actions are zeroed. Actions are drawn in the graph's order by a scan;
log-probabilities of given actions need one batched pass.

:class:`jaxswarm.systems.bn_actor_critic.Wiring` says which graph is used; it is held in the parameters
and traced, so one program sweeps fixed, learnt and random graphs.

Shapes: ``N`` members with ``A`` actions each, ``F`` numbers seen by one, ``H`` features.

References:
    D. Chen, Q. Zhang, Context-aware Bayesian network actor-critic methods for cooperative
    multi-agent reinforcement learning, 2023.
    M. Zaheer et al., Deep sets, 2017.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxswarm.rl.heads import categorical
from jaxswarm.rl.networks import Law, Network, features_of
from jaxswarm.systems.bn_actor_critic._wiring import Wiring, wiring
from jaxswarm.systems.bn_actor_critic.sampling import (
    Dag,
    DagLogits,
    compose,
    density,
    sample_edges,
    sample_permutation,
)
from jaxswarm.systems.bn_actor_critic.team import Seen, Team

PyTree = Any


class TeamOutputs(NamedTuple):
    """Of the actor: ``features [N, H]``, ``present [N]``, and the graph."""

    features: jax.Array
    present: jax.Array
    dag: Dag


class _Layers(nn.Module):
    """Tanh layers, and optionally a linear output that starts small."""

    widths: Sequence[int]
    num_outputs: int = 0
    gain: float = 0.01

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for width in self.widths:
            x = nn.tanh(nn.Dense(width)(x))
        if not self.num_outputs:
            return x
        small = nn.initializers.variance_scaling(self.gain**2, "fan_in", "normal")
        return nn.Dense(self.num_outputs, kernel_init=small)(x)


class _Edges(nn.Module):
    """Logits ``[N, N, 2]`` of all pairs ``(j, i)``, each beside the sum over members."""

    width: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        members = nn.tanh(nn.Dense(self.width)(x))
        sender, receiver = (nn.Dense(self.width, use_bias=False)(members) for _ in range(2))
        whole = nn.Dense(self.width)(jnp.mean(members, axis=0, keepdims=True))
        pairs = nn.tanh(sender[:, None, :] + receiver[None, :, :] + whole[None, :, :])
        small = nn.initializers.variance_scaling(0.01, "fan_in", "normal")
        return nn.Dense(2, kernel_init=small)(pairs)


def team_network(
    team: Team,
    *,
    widths: Sequence[int] = (64, 64),
    graph_width: int = 32,
    iterations: int = 20,
    draws: bool = True,
) -> Network:
    """Actor, graph and centralised critic of a team, as networks of its one agent.

    Args:
        team: whose sizes are meant.
        widths: hidden layers of the members' features and of the critic; a head has one hidden
            layer, of the last width.
        graph_width: of the two networks that give the graph's logits.
        iterations: of Sinkhorn.
        draws: whether the graph may be drawn. Without, every wiring's ``edges`` count as given and
            the program is cheaper; parameters are the same.

    Returns:
        A network whose parameters hold a wiring, a learnt graph to begin with; see
        :func:`jaxswarm.systems.bn_actor_critic.with_wiring`. Its critic sees what all members see, and nothing
        of the graph.

    Raises:
        ValueError: for sizes below 1.
    """
    if not widths or min(*widths, graph_width) < 1:
        raise ValueError(f"widths: expected positive sizes, got {widths} and {graph_width}")
    if iterations < 1:
        raise ValueError(f"iterations: expected at least 1, got {iterations}")
    n, actions, f = team.num_members, team.num_actions, team.num_features
    body, head = _Layers(tuple(widths)), _Layers((widths[-1],), actions)
    places, pairs = _Layers((graph_width,), n * n, gain=0.1), _Edges(graph_width)
    judge_net = _Layers(tuple(widths), 1, gain=1.0)
    heard_by_one = widths[-1] + n * actions

    def init(key: jax.Array) -> PyTree:
        keys = jax.random.split(key, 5)
        named = jnp.zeros((n, f + n))
        actor = {
            "body": body.init(keys[0], named)["params"],
            "head": head.init(keys[1], jnp.zeros((n, heard_by_one)))["params"],
            "places": places.init(keys[2], jnp.zeros(n * f))["params"],
            "pairs": pairs.init(keys[3], named)["params"],
            "wiring": wiring("learnt", n),
        }
        return {"actor": actor, "critic": judge_net.init(keys[4], jnp.zeros(n * f))["params"]}

    def draw(params: PyTree, seen: Seen, named: jax.Array) -> Dag:
        held: Wiring = jax.lax.stop_gradient(params["wiring"])
        if not draws:
            return compose(held.permutation, held.edges)
        place = jnp.asarray(places.apply({"params": params["places"]}, seen.features.ravel()))
        edge = jnp.asarray(pairs.apply({"params": params["pairs"]}, named))
        chance = jnp.stack([jnp.log1p(-held.chance), jnp.log(held.chance)])
        same = DagLogits(jnp.zeros((n, n)), jnp.broadcast_to(chance, (n, n, 2)))
        logits = jax.tree.map(
            lambda own, other: jnp.where(held.learnt > 0, own, other),
            DagLogits(place.reshape(n, n), edge),
            same,
        )
        drawn = sample_permutation(
            logits.permutation, seen.noise.permutation, held.temperature, iterations
        )
        edges = held.heard * sample_edges(logits.edges, seen.noise.edges, held.temperature)
        return compose(
            jnp.where(held.fixed > 0, held.permutation, drawn),
            jnp.where(held.fixed > 0, held.edges, edges),
        )

    def act(params: PyTree, carry: PyTree, features: jax.Array) -> tuple[PyTree, TeamOutputs]:
        seen = team.seen(features)
        named = jnp.concatenate([seen.features, jnp.eye(n)], axis=1)
        own = jnp.asarray(body.apply({"params": params["body"]}, named))
        return carry, TeamOutputs(own, seen.present, draw(params, seen, named))

    def value(params: PyTree, carry: PyTree, seen: jax.Array) -> tuple[PyTree, jax.Array]:
        found = judge_net.apply({"params": params}, team.seen(seen).features.ravel())
        return carry, jnp.asarray(found)[0]

    def logits_of(params: PyTree, own: jax.Array, parents: jax.Array) -> jax.Array:
        """Logits ``[…, A]`` of members who hear ``parents […, N A]``."""
        inputs = jnp.concatenate([own, parents], axis=-1)
        return jnp.asarray(head.apply({"params": params["head"]}, inputs))

    def in_order(pick: Any, params: PyTree, outputs: TeamOutputs) -> jax.Array:
        """Joint action ``int32[N]``; ``pick(place, logits [A])`` chooses."""

        def one(told: jax.Array, now: tuple[jax.Array, jax.Array]) -> Any:
            place, i = now
            parents = told * outputs.dag.graph[:, i][:, None]
            chosen = pick(place, logits_of(params, outputs.features[i], parents.ravel()))
            told = told.at[i].set(jax.nn.one_hot(chosen, actions) * outputs.present[i])
            return told, chosen

        order = outputs.dag.order
        _, chosen = jax.lax.scan(one, jnp.zeros((n, actions)), (jnp.arange(n), order))
        return jnp.zeros(n, jnp.int32).at[order].set(chosen.astype(jnp.int32))

    def all_logits(params: PyTree, outputs: TeamOutputs, raw: jax.Array) -> jax.Array:
        """Log-probabilities ``[N, A]`` of all members, given what their parents did."""
        told = jax.nn.one_hot(raw, actions) * outputs.present[:, None]
        parents = outputs.dag.graph.T[:, :, None] * told[None, :, :]  # [i, j, A]
        logits = logits_of(params, outputs.features, parents.reshape(n, n * actions))
        return jax.nn.log_softmax(logits)

    def of_action(log_probs: jax.Array, outputs: TeamOutputs, raw: jax.Array) -> jax.Array:
        chosen = jnp.take_along_axis(log_probs, raw[:, None], axis=1)[:, 0]
        return chosen * outputs.present

    def sample(params: PyTree, key: jax.Array, outputs: TeamOutputs) -> Any:
        def pick(place: jax.Array, logits: jax.Array) -> jax.Array:
            return jax.random.categorical(jax.random.fold_in(key, place), logits)

        raw = in_order(pick, params, outputs)
        return raw, of_action(all_logits(params, outputs, raw), outputs, raw)

    def mode(params: PyTree, outputs: TeamOutputs) -> jax.Array:
        return in_order(lambda place, logits: jnp.argmax(logits), params, outputs)

    def judge(params: PyTree, key: jax.Array, outputs: TeamOutputs, raw: jax.Array) -> Any:
        del key
        log_probs = all_logits(params, outputs, raw)
        entropy = -jnp.sum(jnp.exp(log_probs) * log_probs, axis=1) * outputs.present
        held: Wiring = jax.lax.stop_gradient(params["wiring"])
        penalty = held.alpha * jnp.abs(density(outputs.dag.graph) - held.threshold)
        return of_action(log_probs, outputs, raw), entropy, penalty

    blank = {"actor": (), "critic": ()}
    return Network(
        categorical(actions),
        init,
        lambda: blank,
        act,
        value,
        False,
        "own",
        Law(sample, mode, judge),
    )


def graph_of(network: Network, params: PyTree, observation: PyTree) -> Dag:
    """The graph that a team uses where it sees this :class:`TeamObservation`."""
    return network.actor(params["actor"], (), features_of(observation)[0])[1].dag


def joint_log_prob(
    network: Network, params: PyTree, observation: PyTree, action: jax.Array
) -> jax.Array:
    """``log π(a_i | s, a_pa(i))`` of each member, ``[N]``; their sum is the joint action's.

    Args:
        network: from :func:`team_network`.
        params: its parameters.
        observation: a :class:`TeamObservation`.
        action: ``int32[N]``.

    Raises:
        ValueError: for another shape, or a known action that does not exist.
    """
    assert network.law is not None
    outputs = network.actor(params["actor"], (), features_of(observation)[0])[1]
    if jnp.shape(action) != outputs.present.shape:
        raise ValueError(f"action: expected shape {outputs.present.shape}, got {jnp.shape(action)}")
    count = network.head.num_outputs
    if (
        not isinstance(action, Tracer)
        and not ((np.asarray(action) >= 0) & (np.asarray(action) < count)).all()
    ):
        raise ValueError(f"action: expected each within [0, {count}), got {action}")
    return network.law.judge(params["actor"], jax.random.key(0), outputs, jnp.asarray(action))[0]
