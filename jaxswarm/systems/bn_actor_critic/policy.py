"""Bayesian-network policy of a team: a graph sampled per state, members that know parents' actions.

All members share one network, which gets their one-hot ids. From all observations two small
networks compute the logits of an order and of edges (a DeepSet: every pair of members, beside the
sum over all), from which the step's noise samples a graph. A member's head reads its own features
and the one-hot actions of its parents; other actions are zeroed. Actions are sampled in the graph's
order by a scan; log-probabilities of given actions need one batched pass.

:class:`jaxswarm.systems.bn_actor_critic.GraphSettings` determine which graph is used; they are kept
beside the weights and traced, so one program sweeps fixed, learned and random graphs.

Shapes: ``N`` members with ``A`` actions each, ``F`` features observed by one, ``H`` hidden ones.

References:
    D. Chen, Q. Zhang, Context-aware Bayesian network actor-critic methods for cooperative
    multi-agent reinforcement learning, 2023.
    M. Zaheer et al., Deep sets, 2017.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.models import layers
from jaxswarm.rl import Network, PolicyDistribution, categorical, distribution_of, features_of
from jaxswarm.rl.hyperparameters import layer_widths
from jaxswarm.rl.returns import select_valid
from jaxswarm.systems.bn_actor_critic._graph_settings import GraphSettings, graph_settings
from jaxswarm.systems.bn_actor_critic.sampling import (
    Dag,
    DagLogits,
    compose_dag,
    density,
    sample_edges,
    sample_permutation,
)
from jaxswarm.systems.bn_actor_critic.team import MemberFeatures, Team, TeamObservation
from jaxswarm.types import Key, Params, PyTree


class TeamOutputs(NamedTuple):
    """Outputs of the actor.

    Attributes:
        features: ``[N, H]``, hidden features of the members.
        present: ``float32[N]``, 1 for members that are present.
        dag: the graph.
    """

    features: jax.Array
    present: jax.Array
    dag: Dag


class _Layers(nn.Module):
    """Tanh layers, and optionally a linear output with small initial weights."""

    widths: Sequence[int]
    num_outputs: int = 0
    gain: float = 0.01

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for width in self.widths:
            x = nn.tanh(layers.Dense(width)(x))
        if not self.num_outputs:
            return x
        small = layers.variance_scaling(self.gain**2, "fan_in", "normal")
        return layers.Dense(self.num_outputs, kernel_init=small)(x)


class _Edges(nn.Module):
    """Logits ``[N, N, 2]`` of all pairs ``(j, i)``, each beside the mean over present members."""

    width: int

    @nn.compact
    def __call__(self, x: jax.Array, present: jax.Array) -> jax.Array:
        members = nn.tanh(layers.Dense(self.width)(x))
        sender, receiver = (layers.Dense(self.width, use_bias=False)(members) for _ in range(2))
        total = jnp.sum(select_valid(members, present), axis=0, keepdims=True)
        whole = layers.Dense(self.width)(total / jnp.maximum(jnp.sum(present), 1))
        pairs = nn.tanh(sender[:, None, :] + receiver[None, :, :] + whole[None, :, :])
        small = layers.variance_scaling(0.01, "fan_in", "normal")
        return layers.Dense(2, kernel_init=small)(pairs)


def team_network(
    team: Team,
    *,
    widths: Sequence[int] = (64, 64),
    graph_width: int = 32,
    iterations: int = 20,
    sampled: bool = True,
) -> Network:
    """Make actor, graph and centralized critic of a team, as networks of its one agent.

    Args:
        team: whose sizes are meant.
        widths: hidden layers of the members' features and of the critic; a head has one hidden
            layer, of the last width.
        graph_width: of the two networks that compute the graph's logits.
        iterations: of Sinkhorn.
        sampled: whether the graph may be sampled. If not, the settings' ``edges`` always count as
            given and the program is cheaper; weights are the same.

    Returns:
        A network whose weights hold :class:`GraphSettings`, those of a learned graph to begin with;
        see :func:`jaxswarm.systems.bn_actor_critic.with_graph`. Its critic sees the observations of
        all members, and nothing of the graph.

    Raises:
        ValueError: for sizes below 1.
    """
    checks.instance("team", team, Team, "bn_actor_critic.Team(env)")
    graph_width = checks.whole("graph_width", graph_width, 1)
    iterations = checks.whole("iterations", iterations, 1)
    checks.instance("sampled", sampled, bool)
    policy = _TeamPolicy(team, layer_widths("widths", widths), graph_width, iterations, sampled)
    return Network(
        categorical(team.num_actions),
        policy.init,
        lambda: {"actor": (), "critic": ()},
        policy.actor,
        policy.critic,
        distribution=PolicyDistribution(policy.sample, policy.mode, policy.evaluate),
    )


@dataclass(frozen=True)
class _TeamPolicy:
    """Functions of :func:`team_network`; ``params`` are the actor's unless said otherwise."""

    team: Team
    widths: tuple[int, ...]
    graph_width: int
    iterations: int
    sampled: bool

    @cached_property
    def _modules(self) -> dict[str, nn.Module]:
        n = self.team.num_members
        return {
            "body": _Layers(self.widths),
            "head": _Layers((self.widths[-1],), self.team.num_actions),
            "places": _Layers((self.graph_width,), n * n, gain=0.1),
            "pairs": _Edges(self.graph_width),
            "critic": _Layers(self.widths, 1, gain=1.0),
        }

    def _apply(self, name: str, params: Params, *inputs: jax.Array) -> jax.Array:
        return jnp.asarray(self._modules[name].apply({"params": params}, *inputs))

    def init(self, key: Key) -> Params:
        """Draw all weights."""
        n, f, size = self.team.num_members, self.team.num_features, self.team.num_actions
        inputs = {
            "body": (jnp.zeros((n, f + n)),),
            "head": (jnp.zeros((n, self.widths[-1] + n * size)),),
            "places": (jnp.zeros(n * f),),
            "pairs": (jnp.zeros((n, f + n)), jnp.ones(n, bool)),
            "critic": (jnp.zeros(n * f),),
        }
        keys = dict(zip(inputs, jax.random.split(key, 5), strict=True))
        weights = {
            name: self._modules[name].init(keys[name], *x)["params"] for name, x in inputs.items()
        }
        critic = weights.pop("critic")
        return {"actor": {**weights, "graph": graph_settings("learnt", n)}, "critic": critic}

    def actor(
        self, params: Params, carry: PyTree, features: jax.Array
    ) -> tuple[PyTree, TeamOutputs]:
        """Hidden features of the members, and the graph."""
        observed = self.team.split_features(features)
        ids = jnp.eye(self.team.num_members)
        with_ids = jnp.concatenate([observed.features, ids], axis=1)
        hidden = self._apply("body", params["body"], with_ids)
        dag = self._graph(params, observed, with_ids)
        return carry, TeamOutputs(hidden, observed.present, dag)

    def critic(
        self, params: Params, carry: PyTree, features: jax.Array
    ) -> tuple[PyTree, jax.Array]:
        """Value of all members' observations; ``params`` are the critic's."""
        observed = self.team.split_features(features).features.ravel()
        return carry, self._apply("critic", params, observed)[0]

    def sample(self, key: Key, params: Params, outputs: TeamOutputs) -> tuple[jax.Array, jax.Array]:
        """Joint action ``int32[N]``, sampled in the graph's order, and its log-probabilities."""

        def pick(position: jax.Array, logits: jax.Array) -> jax.Array:
            return jax.random.categorical(jax.random.fold_in(key, position), logits)

        raw = self._choose_in_order(pick, params, outputs)
        return raw, _chosen(self._log_probs(params, outputs, raw), outputs, raw)

    def mode(self, params: Params, outputs: TeamOutputs) -> jax.Array:
        """Joint action ``int32[N]`` of the likeliest actions given the parents' ones, in order."""
        return self._choose_in_order(lambda _, logits: jnp.argmax(logits), params, outputs)

    def evaluate(
        self, key: Key, params: Params, outputs: TeamOutputs, raw: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Log-probabilities and entropies ``[N]`` of a given action, and the density's penalty."""
        del key
        log_probs = self._log_probs(params, outputs, raw)
        entropy = -jnp.sum(jnp.exp(log_probs) * log_probs, axis=1)
        entropy = jnp.where(outputs.present > 0, entropy, 0.0)
        settings: GraphSettings = jax.lax.stop_gradient(params["graph"])
        distance = jnp.abs(density(outputs.dag.graph) - settings.density_threshold)
        penalty = settings.density_weight * distance
        return _chosen(log_probs, outputs, raw), entropy, penalty

    def _graph(self, params: Params, observed: MemberFeatures, with_ids: jax.Array) -> Dag:
        """The graph: given, or sampled from the networks' logits or from constant ones."""
        settings: GraphSettings = jax.lax.stop_gradient(params["graph"])
        if not self.sampled:
            return compose_dag(settings.permutation, settings.edges)
        n = self.team.num_members
        places = self._apply("places", params["places"], observed.features.ravel())
        pairs = self._apply("pairs", params["pairs"], with_ids, observed.present > 0)
        learned = DagLogits(places.reshape(n, n), pairs)
        p = settings.edge_probability
        edge = jnp.broadcast_to(jnp.stack([jnp.log1p(-p), jnp.log(p)]), (n, n, 2))
        constant = DagLogits(jnp.zeros((n, n)), edge)
        logits = jax.tree.map(lambda a, b: jnp.where(settings.learned > 0, a, b), learned, constant)
        noise, temperature = observed.noise, settings.temperature
        permutation = sample_permutation(
            logits.permutation, noise.permutation, temperature, self.iterations
        )
        edges = sample_edges(logits.edges, noise.edges, temperature)
        edges = jnp.where(settings.communicates > 0, edges, 0.0)
        return compose_dag(
            jnp.where(settings.fixed > 0, settings.permutation, permutation),
            jnp.where(settings.fixed > 0, settings.edges, edges),
        )

    def _logits(self, params: Params, hidden: jax.Array, parents: jax.Array) -> jax.Array:
        """Logits ``[…, A]`` of members given their parents' one-hot actions ``[…, N A]``."""
        return self._apply("head", params["head"], jnp.concatenate([hidden, parents], axis=-1))

    def _choose_in_order(
        self,
        pick: Callable[[jax.Array, jax.Array], jax.Array],
        params: Params,
        outputs: TeamOutputs,
    ) -> jax.Array:
        """Joint action ``int32[N]``; ``pick(position, logits [A])`` chooses one action."""
        n, size = self.team.num_members, self.team.num_actions
        hidden = select_valid(outputs.features, outputs.present > 0)

        def choose(
            actions: jax.Array, step: tuple[jax.Array, jax.Array]
        ) -> tuple[jax.Array, jax.Array]:
            position, i = step
            parents = actions * outputs.dag.graph[:, i][:, None]
            logits = self._logits(params, hidden[i], parents.ravel())
            chosen = pick(position, logits)
            one_hot = jnp.where(outputs.present[i] > 0, jax.nn.one_hot(chosen, size), 0.0)
            return actions.at[i].set(one_hot), chosen

        order = outputs.dag.order
        _, chosen = jax.lax.scan(choose, jnp.zeros((n, size)), (jnp.arange(n), order))
        return jnp.zeros(n, jnp.int32).at[order].set(chosen.astype(jnp.int32))

    def _log_probs(self, params: Params, outputs: TeamOutputs, raw: jax.Array) -> jax.Array:
        """Log-probabilities ``[N, A]`` of all members, given their parents' actions in ``raw``."""
        n, size = self.team.num_members, self.team.num_actions
        present = outputs.present > 0
        actions = jnp.where(present[:, None], jax.nn.one_hot(raw, size), 0.0)
        parents = outputs.dag.graph.T[:, :, None] * actions[None, :, :]  # [i, j, A]
        hidden = select_valid(outputs.features, present)
        logits = self._logits(params, hidden, parents.reshape(n, n * size))
        return jax.nn.log_softmax(logits)


def _chosen(log_probs: jax.Array, outputs: TeamOutputs, raw: jax.Array) -> jax.Array:
    """Log-probabilities ``[N]`` of the actions taken, 0 for absent members."""
    chosen = jnp.take_along_axis(log_probs, raw[:, None], axis=1)[:, 0]
    return jnp.where(outputs.present > 0, chosen, 0.0)


def graph_of(network: Network, params: Params, observation: TeamObservation) -> Dag:
    """The graph that a team uses given an observation.

    Raises:
        ValueError: for something that is no network or no observation of a team.
    """
    _check_arguments(network, observation)
    outputs: Any = network.actor(params["actor"], (), features_of(observation)[0])[1]
    return outputs.dag


def joint_log_prob(
    network: Network, params: Params, observation: TeamObservation, action: jax.Array
) -> jax.Array:
    """``log π(a_i | s, a_pa(i))`` of each member, ``[N]``; their sum is the joint action's.

    Args:
        network: from :func:`team_network`.
        params: its weights.
        observation: of the team.
        action: ``int32[N]``.

    Raises:
        ValueError: for another shape, or a known action that does not exist.
    """
    _check_arguments(network, observation)
    outputs = network.actor(params["actor"], (), features_of(observation)[0])[1]
    shape, count = jnp.shape(outputs.present), network.head.num_outputs
    action = checks.wholes("action", action, 0, count - 1, shape=shape)
    evaluate = distribution_of(network).evaluate
    return evaluate(jax.random.key(0), params["actor"], outputs, jnp.asarray(action))[0]


def _check_arguments(network: Any, observation: Any) -> None:
    checks.instance("network", network, Network, "team_network(team)")
    checks.instance("observation", observation, TeamObservation, "that of Team(env).reset(key)")
