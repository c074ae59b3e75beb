"""Byzantine agents: attacks as wrappers that alter what some agents tell the others.

An attacker holds parameters like everyone and follows the protocol, but for its messages. Attacks
are omniscient: they may read every honest message of the round. What they read and replace is what
gossip carries, models or their differences; the papers wrote gradients.

Shapes: ``N`` agents on axis 0 of every leaf.

References:
    G. Baruch, M. Baruch, Y. Goldberg, A little is enough: circumventing defenses for distributed
    learning, 2019 (ALIE). C. Xie, O. Koyejo, I. Gupta, Fall of empires: breaking Byzantine-tolerant
    SGD by inner product manipulation, 2019. L. He, S. P. Karimireddy, M. Jaggi, Byzantine-robust
    decentralized learning via self-centered clipping, 2022 (dissensus).
"""

import inspect
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents
from jaxswarm.gossip._operator import rows
from jaxswarm.gossip.rounds import Source, operator
from jaxswarm.gossip.types import Exchange, Forged, GossipTransformation, PyTree, Traffic
from jaxswarm.topology import Topology
from jaxswarm.topology.validation import is_traced


class ForgeFn(Protocol):
    """``forge(key, params, messages, byzantine, round) -> lies``, leaves ``[N, ...]``.

    ``params`` is what the agents hold, ``messages`` what they would tell, ``byzantine: bool[N]``.
    """

    def __call__(
        self,
        key: jax.Array,
        params: PyTree,
        messages: PyTree,
        byzantine: jax.Array,
        round: Exchange,
    ) -> PyTree: ...


class Attack(NamedTuple):
    """What attackers tell.

    Attributes:
        forge: makes the lies; those of honest agents are not used.
        by_receiver: false: ``lies[i]`` is what attacker ``i`` tells everyone. True: ``lies[i]`` is
            what every attacker tells agent ``i``.
        remembers: whether ``forge`` takes a last argument ``before``: what everyone would have told
            in the round before if nobody lied, the initial parameters in the first.
    """

    forge: Callable[..., PyTree]
    by_receiver: bool = False
    remembers: bool = False


class Recall(NamedTuple):
    """State of a rule under attackers that remember: what was to be told, and the rule's own."""

    before: PyTree
    rule: PyTree


def attacked(
    rule: GossipTransformation, attack: Attack, byzantine: jax.Array | np.ndarray
) -> GossipTransformation:
    """``rule`` in a swarm some of whose agents lie; wrappers of other attackers compose.

    Only messages of Byzantine agents change. The rule itself is not told who they are.

    Args:
        rule: any gossip rule that takes ``messages``; for an attack by receiver one that takes
            ``forged``: plain averaging and the rules of :mod:`jaxswarm.gossip.robust`.
        attack: see :data:`ATTACKS`.
        byzantine: ``bool[N]``; may be traced, so that a sweep over attackers compiles once.

    Raises:
        ValueError: if ``byzantine`` is not a vector of flags or leaves no honest agent, or the rule
            cannot tell receivers apart; while mixing, if it has another length than the parameters,
            or two attacks by receiver are stacked.
    """
    liars = _check_liars(byzantine)
    hears_forged = "forged" in inspect.signature(rule.mix).parameters
    if attack.by_receiver and not hears_forged:
        raise ValueError(
            "attack: lies that differ by receiver need a rule that takes 'forged' (averaging or a "
            "robust rule); put attacked(…) inside other wrappers"
        )

    def mix_fn(
        key: jax.Array,
        params: PyTree,
        state: PyTree,
        round: Exchange,
        *,
        messages: PyTree | None = None,
        forged: Forged | None = None,
        **extra: Any,
    ) -> tuple[PyTree, PyTree, Traffic]:
        agents.check_leading_axis(params, liars.shape[0], "params")
        if forged is not None:
            if attack.by_receiver or not hears_forged:
                raise ValueError("attacked: only one attack by receiver, on a rule that takes it")
            extra["forged"] = forged
        lie_key, rule_key = jax.random.split(key)
        told = sincere = params if messages is None else messages
        known = (state.before,) if attack.remembers else ()
        lies = attack.forge(lie_key, params, told, liars, round, *known)
        if attack.by_receiver:
            extra["forged"] = Forged(liars, lies)
        else:
            told = agents.where(liars, lies, told)
        if not attack.remembers:
            return rule.mix(rule_key, params, state, round, messages=told, **extra)
        out, inner, sent = rule.mix(rule_key, params, state.rule, round, messages=told, **extra)
        return out, Recall(sincere, inner), sent

    def init(params: PyTree) -> PyTree:
        return Recall(params, rule.init(params)) if attack.remembers else rule.init(params)

    return GossipTransformation(init, mix_fn)


def attacked_by_one_of(
    rule: GossipTransformation,
    attacks: Sequence[Attack],
    which: int | jax.Array,
    byzantine: jax.Array | np.ndarray,
) -> GossipTransformation:
    """``rule`` under attack number ``which``, traced: a ``vmap`` over attacks is one program.

    All attacks are computed and one is used. Its state is a :class:`Recall`.

    Args:
        rule: plain averaging or a rule of :mod:`jaxswarm.gossip.robust`.
        attacks: the choices; at least one.
        which: an index into them; may be traced.
        byzantine: as for :func:`attacked`.

    Raises:
        ValueError: as :func:`attacked`; without attacks.
    """
    liars = _check_liars(byzantine)
    if not attacks:
        raise ValueError("attacks: expected at least one to choose from, got none")

    def init(params: PyTree) -> Recall:
        return Recall(params, rule.init(params))

    def mix_fn(
        key: jax.Array, params: PyTree, state: Recall, round: Exchange, **extra: Any
    ) -> tuple[PyTree, PyTree, Traffic]:
        agents.check_leading_axis(params, liars.shape[0], "params")
        lie_key, rule_key = jax.random.split(key)
        told, whispered, by_receiver = params, params, jnp.zeros((), bool)
        for number, attack in enumerate(attacks):
            known = (state.before,) if attack.remembers else ()
            lie = attack.forge(lie_key, params, params, liars, round, *known)
            mine = which == number
            if attack.by_receiver:
                whispered = jax.tree.map(lambda a, b, m=mine: jnp.where(m, a, b), lie, whispered)
                by_receiver |= mine
            else:
                lie = agents.where(liars, lie, params)
                told = jax.tree.map(lambda a, b, m=mine: jnp.where(m, a, b), lie, told)
        if any(attack.by_receiver for attack in attacks):
            extra["forged"] = Forged(liars & by_receiver, whispered)
        out, inner, sent = rule.mix(rule_key, params, state.rule, round, messages=told, **extra)
        return out, Recall(params, inner), sent

    return GossipTransformation(init, mix_fn)


def sign_flip(scale: float | jax.Array = 1.0) -> Attack:
    """``−scale`` times the own message."""
    return Attack(lambda key, params, messages, byzantine, round: _times(messages, -scale))


def scaled_noise(scale: float | jax.Array = 1.0) -> Attack:
    """The own message plus Gaussian noise of standard deviation ``scale``."""

    def forge(
        key: jax.Array, params: PyTree, messages: PyTree, byzantine: jax.Array, round: Exchange
    ) -> PyTree:
        del params, byzantine, round
        leaves, treedef = jax.tree.flatten(messages)
        noisy = []
        for i, leaf in enumerate(leaves):
            keys = agents.keys(jax.random.fold_in(key, i), leaf.shape[0])
            noise = jax.vmap(lambda k, leaf=leaf: jax.random.normal(k, leaf.shape[1:]))(keys)
            noisy.append((leaf + scale * noise).astype(leaf.dtype))
        return jax.tree.unflatten(treedef, noisy)

    return Attack(forge)


def one_sided_noise(scale: float | jax.Array = 0.5) -> Attack:
    """Noise instead of a message: uniform in ``[−scale, 0]``, from the middle on ``[0, scale]``.

    The middle is that of the last axis of each leaf, so that attackers who draw independently still
    pull the same way, as in the code of Verbraeken et al., Bristle, 2021.
    """

    def forge(
        key: jax.Array, params: PyTree, messages: PyTree, byzantine: jax.Array, round: Exchange
    ) -> PyTree:
        del params, byzantine, round
        leaves, treedef = jax.tree.flatten(messages)
        noisy = []
        for i, leaf in enumerate(leaves):
            keys = agents.keys(jax.random.fold_in(key, i), leaf.shape[0])
            noise = jax.vmap(lambda k, leaf=leaf: jax.random.uniform(k, leaf.shape[1:]))(keys)
            later = jnp.arange(leaf.shape[-1]) >= leaf.shape[-1] // 2 if leaf.ndim > 1 else True
            side = jnp.broadcast_to(jnp.where(later, scale, -scale), leaf.shape)
            noisy.append((side * noise).astype(leaf.dtype))
        return jax.tree.unflatten(treedef, noisy)

    return Attack(forge)


def alie(z: float | jax.Array | None = None) -> Attack:
    """A little is enough: the honest mean minus ``z`` honest deviations, in every coordinate.

    All attackers tell the same. Small enough to hide among honest messages, and always to one side.

    Args:
        z: deviations; may be traced. If omitted, the paper's largest that still has enough honest
            supporters, from the numbers of all agents and of attackers (0.3 at least).
    """

    def forge(
        key: jax.Array, params: PyTree, messages: PyTree, byzantine: jax.Array, round: Exchange
    ) -> PyTree:
        del key, params, round
        honest = ~byzantine
        deviations = _largest_z(byzantine) if z is None else z

        def leaf(x: jax.Array) -> jax.Array:
            mean, deviation = _moments(x, honest)
            return jnp.broadcast_to(mean - deviations * deviation, x.shape).astype(x.dtype)

        return jax.tree.map(leaf, messages)

    return Attack(forge)


def inner_product_manipulation(epsilon: float | jax.Array = 1.0) -> Attack:
    """``−epsilon`` times the honest mean: the average points backwards, unseen if it is small."""

    def forge(
        key: jax.Array, params: PyTree, messages: PyTree, byzantine: jax.Array, round: Exchange
    ) -> PyTree:
        del key, params, round

        def leaf(x: jax.Array) -> jax.Array:
            mean, _ = _moments(x, ~byzantine)
            return jnp.broadcast_to(-epsilon * mean, x.shape).astype(x.dtype)

        return jax.tree.map(leaf, messages)

    return Attack(forge)


def dissensus(W: Source, epsilon: float | jax.Array = 1.0) -> Attack:
    """Push every agent away from its honest neighbours, each in its own direction.

    Attackers tell agent ``i``: ``x_i − ε Σ_{j honest} w_ij (x_j − x_i) / Σ_{b Byzantine} w_ib``. At
    ``ε = 1`` averaging with ``W`` stands still: nobody comes closer to anybody. Agents without a
    Byzantine neighbour hear nothing of it.

    Args:
        W: the weights that the attackers assume (those of averaging, typically).
        epsilon: strength, at least 0; may be traced.
    """

    def forge(
        key: jax.Array, params: PyTree, messages: PyTree, byzantine: jax.Array, round: Exchange
    ) -> PyTree:
        now = operator(W, key, round)
        honest = now.receive((~byzantine).astype(jnp.float32))
        lying = now.receive(byzantine.astype(jnp.float32))
        strength = epsilon / jnp.where(lying > 0, lying, 1.0)

        def leaf(own: jax.Array, told: jax.Array) -> jax.Array:
            sincere = jnp.where(_column(byzantine, told), 0.0, told)
            pull = now.receive(sincere) - rows(honest, own) * own
            return (own - rows(strength, own) * pull).astype(own.dtype)

        return jax.tree.map(leaf, params, messages)

    return Attack(forge, by_receiver=True)


ATTACKS: dict[str, Callable[..., Attack]] = {
    "none": lambda: Attack(lambda key, params, messages, byzantine, round: messages),
    "sign_flip": sign_flip,
    "scaled_noise": scaled_noise,
    "alie": alie,
    "inner_product_manipulation": inner_product_manipulation,
    "dissensus": dissensus,
}
"""Name -> factory; all have defaults but ``dissensus``, which needs the mixing operator."""


def expect_tolerable(topology: Topology, byzantine: Any, num_byzantine: int) -> None:
    """Refuse an experiment in which an honest agent cannot be protected.

    Raises:
        ValueError: naming the first honest agent with more than ``num_byzantine`` Byzantine
            neighbours, or without an honest one; if ``byzantine`` is not ``bool[N]``.
    """
    n = topology.num_agents
    liars = np.asarray(byzantine)
    if liars.shape != (n,) or liars.dtype != bool:
        raise ValueError(f"byzantine: expected bool[{n}], got {liars.dtype}{list(liars.shape)}")
    senders, receivers, mask = (
        np.atleast_2d(x) for x in (topology.senders, topology.receivers, topology.mask)
    )
    for sender, receiver, real in zip(senders, receivers, mask, strict=True):
        lying = np.bincount(receiver[real & liars[sender]], minlength=n)
        sincere = np.bincount(receiver[real & ~liars[sender]], minlength=n)
        for wrong, reason in (
            (
                lying > num_byzantine,
                f"more Byzantine neighbours than the {num_byzantine} tolerated",
            ),
            (sincere == 0, "no honest neighbour"),
        ):
            if (wrong & ~liars).any():
                agent = int(np.argmax(wrong & ~liars))
                raise ValueError(
                    f"byzantine: honest agent {agent} has {reason} "
                    f"({lying[agent]} of {lying[agent] + sincere[agent]} are Byzantine)"
                )


def _check_liars(byzantine: Any) -> jax.Array:
    liars = jnp.asarray(byzantine)
    if liars.ndim != 1 or liars.dtype != bool:
        raise ValueError(f"byzantine: expected bool[N], got {liars.dtype}{list(liars.shape)}")
    if not is_traced(byzantine) and np.asarray(byzantine).all():
        raise ValueError(f"byzantine: expected an honest agent among {len(liars)}, got none")
    return liars


def _times(tree: PyTree, factor: Any) -> PyTree:
    return jax.tree.map(lambda x: (factor * x).astype(x.dtype), tree)


def _column(flags: jax.Array, like: jax.Array) -> jax.Array:
    return flags.reshape(flags.shape + (1,) * (like.ndim - 1))


def _moments(x: jax.Array, honest: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviation over the honest, keeping the axis."""
    who = _column(honest, x)
    count = jnp.maximum(jnp.sum(honest), 1)
    mean = jnp.sum(jnp.where(who, x, 0.0), axis=0, keepdims=True) / count
    variance = jnp.sum(jnp.where(who, jnp.square(x - mean), 0.0), axis=0, keepdims=True) / count
    return mean, jnp.sqrt(variance)


def _largest_z(byzantine: jax.Array) -> jax.Array:
    """``Φ⁻¹((n − m − s) / (n − m))``, ``s = ⌊n/2⌋ + 1 − m`` supporters; within ``[0.3, 3]``."""
    n = byzantine.shape[0]
    table = []
    for m in range(n):
        supporters = max(n // 2 + 1 - m, 0)
        share = (n - m - supporters) / (n - m)
        table.append(NormalDist().inv_cdf(share) if 0.0 < share < 1.0 else 3.0 * (share >= 1.0))
    return jnp.asarray(np.clip(table, 0.3, 3.0), jnp.float32)[
        jnp.minimum(jnp.sum(byzantine), n - 1)
    ]
