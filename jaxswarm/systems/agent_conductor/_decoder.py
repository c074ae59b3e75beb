"""Autoregressive decoder that writes role graphs slot by slot, and a head for difficulty.

The state of the decoder after a slot is the sum of embeddings of all slots so far, so that
log-probabilities of given graphs take one pass over all slots at once. Each slot draws a token
(role or ``STOP``), then whether it opens a layer, then a reference to each slot. Unmasked decoding
can write invalid graphs; masked decoding cannot.

Shapes: ``B`` graphs, ``N`` slots, ``O`` numbers observed.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.models import layers
from jaxswarm.systems.agent_conductor import _prefix
from jaxswarm.systems.agent_conductor.graphs import (
    NUM_TOKENS,
    STOP,
    RoleGraph,
    occupied,
)
from jaxswarm.systems.agent_conductor.world import DIFFICULTIES
from jaxswarm.types import Key


class Heads(NamedTuple):
    """Logits of one slot: tokens ``[B, 8]``, opening ``[B]``, references ``[B, N]``."""

    token: jax.Array
    opens: jax.Array
    refs: jax.Array


class Decoder(nn.Module):
    """Networks of the decoder.

    Attributes:
        slots: ``N``.
        width: of hidden layers.
    """

    slots: int = 10
    width: int = 64

    def setup(self) -> None:
        size = NUM_TOKENS + 1 + self.slots
        small = layers.normal(0.1)
        self.slot_weight = self.param("slot_weight", small, (self.slots, size, self.width))
        self.position = self.param("position", small, (self.slots + 1, self.width))
        self.observation = layers.Dense(self.width)
        self.structure = layers.Dense(self.width)
        self.hidden = layers.Dense(self.width)
        self.token_head = layers.Dense(NUM_TOKENS)
        self.opens_hidden = layers.Dense(1)
        self.opens_token = nn.Embed(NUM_TOKENS, 1)
        self.refs_hidden = layers.Dense(_prefix.NUM_PAIR)
        self.refs_token = nn.Embed(NUM_TOKENS, _prefix.NUM_PAIR)
        self.difficulty_hidden = layers.Dense(16)
        self.difficulty_out = layers.Dense(len(DIFFICULTIES))

    def __call__(self, observation: jax.Array, features: jax.Array) -> jax.Array:
        """Touch every parameter, for initialization."""
        count = observation.shape[0]
        blank = RoleGraph(
            jnp.zeros((count, self.slots), jnp.int32),
            jnp.zeros((count, self.slots), bool),
            jnp.zeros((count, self.slots, self.slots), bool),
        )
        most = jnp.full(count, self.slots)
        return (
            self.log_probs(observation, blank, most, jnp.bool_(False))
            + self.difficulty(features).sum()
        )

    def difficulty(self, features: jax.Array) -> jax.Array:
        """Logits of the difficulty ``[B, D]`` from the features of tasks."""
        return self.difficulty_out(nn.relu(self.difficulty_hidden(features)))

    def context(self, observation: jax.Array) -> jax.Array:
        """Encode what is observed, ``[B, width]``."""
        return self.observation(observation)

    def embed(self, graph: RoleGraph, weight: jax.Array | None = None) -> jax.Array:
        """Embedding of each slot, ``[B, N, width]``."""
        weight = self.slot_weight if weight is None else weight
        rows = jnp.concatenate(
            [
                jax.nn.one_hot(graph.role, NUM_TOKENS),
                jnp.asarray(graph.opens)[..., None].astype(jnp.float32),
                jnp.asarray(graph.refs).astype(jnp.float32),
            ],
            axis=-1,
        )
        return jnp.einsum("bns,nsw->bnw", rows, weight)

    def embed_slot(
        self, i: jax.Array, token: jax.Array, opens: jax.Array, refs: jax.Array
    ) -> jax.Array:
        """Embedding of slot ``i``, ``[B, width]``."""
        row = jnp.concatenate(
            [jax.nn.one_hot(token, NUM_TOKENS), opens[:, None], refs], axis=-1, dtype=jnp.float32
        )
        return row @ self.slot_weight[i]

    def trunk(
        self, context: jax.Array, summed: jax.Array, i: Any, features: jax.Array
    ) -> jax.Array:
        """Hidden units of a slot from context, summed embeddings and features of its prefix."""
        x = nn.relu(context + summed + self.structure(features) + jnp.atleast_2d(self.position[i]))
        return nn.relu(self.hidden(x))

    def heads(self, hidden: jax.Array, token: jax.Array, pairs: jax.Array) -> Heads:
        """Logits; those of openings and references depend on the token, references on pairs."""
        opens = self.opens_hidden(hidden)[..., 0] + self.opens_token(token)[..., 0]
        weights = self.refs_hidden(hidden) + self.refs_token(token)
        return Heads(self.token_head(hidden), opens, jnp.einsum("...q,...nq->...n", weights, pairs))

    def log_probs(
        self, observation: jax.Array, graph: RoleGraph, max_nodes: jax.Array, masked: Any
    ) -> jax.Array:
        """Log-probability of each slot of given graphs, ``float32[B, N]``."""
        slots = self.slots
        embedded = self.embed(graph)
        index = jnp.arange(slots)
        before = (index[:, None] > index[None]).astype(embedded.dtype)
        summed = jnp.einsum("ij,bjw->ibw", before, embedded)  # sooner than a cumulative sum
        p = jax.vmap(lambda i: _prefix.prefix(graph, i, max_nodes))(index)
        features = jax.vmap(lambda each: _prefix.prefix_features(each, slots))(p)
        hidden = self.trunk(
            self.context(observation)[None],
            summed,
            index[:, None],
            features,
        )
        token = jnp.swapaxes(jnp.asarray(graph.role), 0, 1)
        opens = jnp.swapaxes(jnp.asarray(graph.opens), 0, 1)
        refs = jnp.swapaxes(jnp.asarray(graph.refs), 0, 1)
        pairs = jax.vmap(_prefix.pair_features)(p, opens)
        heads = self.heads(hidden, token, pairs)
        found = jax.vmap(slot_log_prob, in_axes=(0, 0, 0, 0, 0, None))(
            heads, p, token, opens, refs, masked
        )
        return jnp.swapaxes(found, 0, 1)

    def draw(
        self, key: Key, observation: jax.Array, max_nodes: jax.Array, masked: Any, temperature: Any
    ) -> RoleGraph:
        """Draw a graph for each observation; slots after the first ``STOP`` hold ``STOP``."""
        context = self.context(observation)

        def logits(p: _prefix.Prefix, i: jax.Array, summed: jax.Array) -> Any:
            hidden = self.trunk(context, summed, i, _prefix.prefix_features(p, self.slots))
            return self.token_head(hidden), lambda token, opens: self.heads(
                hidden, token, _prefix.pair_features(p, opens)
            )

        return draw_graphs(
            key, logits, self.embed_slot, max_nodes, self.slots, masked, temperature, self.width
        )


def draw_graphs(
    key: Key,
    logits: Any,
    embed_slot: Any,
    max_nodes: jax.Array,
    slots: int,
    masked: Any,
    temperature: Any,
    width: int,
) -> RoleGraph:
    """Draw graphs slot by slot from ``logits(prefix, i, summed) -> (token, rest)``."""
    count = max_nodes.shape[0]
    blank = RoleGraph(
        jnp.full((count, slots), STOP, jnp.int32),
        jnp.zeros((count, slots), bool),
        jnp.zeros((count, slots, slots), bool),
    )
    uniform = jax.random.uniform(key, (slots, count, slots + 1 + NUM_TOKENS), minval=1e-7)
    noise = jax.scipy.special.logit(jnp.minimum(uniform[..., : slots + 1], 1.0 - 1e-7))
    gumbel = -jnp.log(-jnp.log(jnp.minimum(uniform[..., slots + 1 :], 1.0 - 1e-7)))

    def body(carry: Any, inputs: Any) -> tuple[Any, None]:
        graph, summed, stopped = carry
        i, bits, race = inputs
        p = _prefix.prefix(graph, i, max_nodes)
        token_logits, rest = logits(p, i, summed)
        token_logits = jnp.where(_prefix.valid_tokens(p) | ~masked, token_logits, _prefix.NEVER)
        token = jnp.argmax(token_logits + temperature * race, axis=-1).astype(jnp.int32)
        token = jnp.where(stopped, STOP, token)
        heads = rest(token, jnp.zeros(count, bool))
        opens = heads.opens + temperature * bits[:, 0] > 0
        opens = jnp.where(masked, _prefix.forced_opening(p) | opens, opens)
        opens = opens & ~stopped & ~(masked & (token == STOP))
        heads = rest(token, opens)
        refs = heads.refs + temperature * bits[:, 1:] > 0
        forced = _prefix.forced_references(p, opens) | (refs & _prefix.may_read(p, opens))
        refs = jnp.where(masked, forced, refs) & (token != STOP)[:, None]
        graph = RoleGraph(
            graph.role.at[:, i].set(token),
            graph.opens.at[:, i].set(opens),
            graph.refs.at[:, i].set(refs),
        )
        summed = summed + embed_slot(i, token, opens, refs)
        return (graph, summed, stopped | (token == STOP)), None

    start = (blank, jnp.zeros((count, width)), jnp.zeros(count, bool))
    (graph, _, _), _ = jax.lax.scan(body, start, (jnp.arange(slots), noise, gumbel))
    return graph


def slot_log_prob(
    heads: Heads,
    p: _prefix.Prefix,
    token: jax.Array,
    opens: jax.Array,
    refs: jax.Array,
    masked: Any,
) -> jax.Array:
    """Log-probability of what a slot holds, ``float32[B]``; forced choices contribute 0."""
    logits = jnp.where(_prefix.valid_tokens(p) | ~masked, heads.token, _prefix.NEVER)
    total = jnp.take_along_axis(jax.nn.log_softmax(logits), token[:, None], axis=-1)[:, 0]
    stop = token == STOP
    free = ~(masked & (_prefix.forced_opening(p) | stop))
    total = total + jnp.where(free, jax.nn.log_sigmoid(jnp.where(opens, 1, -1) * heads.opens), 0.0)
    allowed = _prefix.may_read(p, opens) & ~_prefix.forced_references(p, opens)
    free = (allowed | ~masked) & ~stop[:, None]
    each = jax.nn.log_sigmoid(jnp.where(refs, 1, -1) * heads.refs)
    return total + jnp.sum(jnp.where(free, each, 0.0), axis=-1)


def slots_that_count(graph: RoleGraph) -> jax.Array:
    """Slots that were drawn: all agents and the first ``STOP``, ``bool[B, N]``."""
    mask = occupied(graph)
    return jnp.concatenate([jnp.ones_like(mask[..., :1]), mask[..., :-1]], axis=-1)


def random_graphs(key: Key, max_nodes: jax.Array, slots: int, *, exact: bool = False) -> RoleGraph:
    """Draw valid graphs of random sizes: 1 to ``max_nodes`` agents, roles and references at random.

    An agent opens a layer with probability ½ and refers to each agent of earlier layers with
    probability .4; the terminal agent reads what is unread.

    Args:
        key: consumed.
        max_nodes: ``int32[B]``, from 1 to ``slots``.
        slots: ``N``.
        exact: make all graphs as large as ``max_nodes``.

    Raises:
        ValueError: for arguments of another kind or out of range.
    """
    checks.key(key)
    slots = checks.whole("slots", slots, 1)
    exact = checks.flag("exact", exact)
    max_nodes = jnp.asarray(checks.wholes("max_nodes", max_nodes, 1, slots, shape=(None,)))
    keys = jax.random.split(key)
    share = jax.random.uniform(keys[0], max_nodes.shape)
    drawn = jnp.minimum(1 + jnp.floor(share * max_nodes).astype(jnp.int32), max_nodes)
    size = max_nodes if exact else drawn

    def logits(p: _prefix.Prefix, i: jax.Array, summed: jax.Array) -> Any:
        del i, summed
        never = jnp.where(jnp.arange(NUM_TOKENS) == STOP, _prefix.NEVER / 10, 0.0)
        token = jnp.broadcast_to(never, (*p.last.shape, NUM_TOKENS))
        chance = jnp.full(p.exists.shape, jnp.log(0.4 / 0.6))
        return token, lambda *_: Heads(token, jnp.zeros(p.last.shape), chance)

    def nothing(*_: Any) -> jax.Array:
        return jnp.zeros((max_nodes.shape[0], 1))

    return draw_graphs(keys[1], logits, nothing, size, slots, jnp.bool_(True), 1.0, 1)
