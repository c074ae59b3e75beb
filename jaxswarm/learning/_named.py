"""Decentralised learners by their usual names, each a choice of :func:`decentralized`.

Shapes: ``N`` agents on axis 0 of every leaf.
"""

from typing import TypedDict, Unpack

import jax
import optax

from jaxswarm import gossip
from jaxswarm.algorithm import Algorithm
from jaxswarm.gossip.sources import Source
from jaxswarm.learning._decentralized import decentralized
from jaxswarm.learning.local import Loss, Sample
from jaxswarm.network.process import Network


class LearnerOptions(TypedDict, total=False):
    """Keyword arguments of :func:`decentralized` that every named learner takes as well."""

    sample: Sample | None
    network: Network | None
    stateful: bool
    stochastic: bool
    has_aux: bool
    chunk: int | None


def dpsgd(
    loss: Loss,
    W: Source,
    *,
    local: optax.GradientTransformation,
    local_steps: int = 1,
    **options: Unpack[LearnerOptions],
) -> Algorithm:
    """Decentralised parallel SGD (D-PSGD): ``x_i ← Σ_j W_ij x_j − η ∇f_i(x_i)``.

    The gradient is taken at the agent's own parameters, not at the average, so computing and
    sending overlap. With ``order="adapt_then_combine"``, the default of :func:`decentralized`, the
    method is diffusion (adapt, then combine).

    Args:
        loss: ``loss(params, batch) -> scalar`` of one agent.
        W: mixing matrix, of ``gossip.mixing(topology)``.
        local: any optax optimiser; published for plain SGD.
        local_steps: optimiser steps per round, at least 1; published for 1.
        **options: ``sample``, ``network``, ``stateful``, ``stochastic``, ``has_aux``,
            ``chunk`` of :func:`decentralized`.

    Raises:
        ValueError: as :func:`decentralized`.

    References:
        X. Lian et al., Can decentralized algorithms outperform centralized algorithms? A case study
        for decentralized parallel stochastic gradient descent, 2017.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from jaxswarm import gossip, learning, topology
        >>> W = gossip.mixing(topology.complete(2))
        >>> learner = learning.dpsgd(lambda x, t: 0.5 * jnp.sum((x - t) ** 2), W,
        ...                          local=optax.sgd(0.5))
        >>> state = learner.init(jnp.array([0.0, 4.0]))
        >>> state, info = jax.jit(learner.step)(jax.random.key(0), state, jnp.array([1.0, 1.0]))
        >>> state.params.tolist()  # mean 2, less half of the own gradients -1 and 3
        [2.5, 0.5]
    """
    return decentralized(
        loss,
        local=local,
        gossip=gossip.averaging(W),
        local_steps=local_steps,
        order="parallel",
        **options,
    )


def local_sgd(
    loss: Loss,
    W: Source,
    *,
    local: optax.GradientTransformation,
    local_steps: int,
    **options: Unpack[LearnerOptions],
) -> Algorithm:
    """Local SGD over a network: ``local_steps`` steps of every agent, then one averaging by ``W``.

    On the complete graph with uniform weights it is local SGD as published (parallel restarted
    SGD); on other graphs it is its decentralised form.

    Args:
        loss: ``loss(params, batch) -> scalar`` of one agent.
        W: mixing matrix, of ``gossip.mixing(topology)``.
        local: any optax optimiser.
        local_steps: optimiser steps between two averagings, at least 1.
        **options: ``sample``, ``network``, ``stateful``, ``stochastic``, ``has_aux``,
            ``chunk`` of :func:`decentralized`.

    Raises:
        ValueError: as :func:`decentralized`.

    References:
        S. U. Stich, Local SGD converges fast and communicates little, 2019. A. Koloskova et al., A
        unified theory of decentralized SGD with changing topology and local updates, 2020.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from jaxswarm import gossip, learning, topology
        >>> W = gossip.mixing(topology.complete(2))
        >>> learner = learning.local_sgd(lambda x, t: 0.5 * jnp.sum((x - t) ** 2), W,
        ...                              local=optax.sgd(0.5), local_steps=2)
        >>> state = learner.init(jnp.array([0.0, 4.0]))
        >>> state, info = jax.jit(learner.step)(jax.random.key(0), state, jnp.array([0.0, 4.0]))
        >>> state.params.tolist()  # both agents start at their optimum and are averaged
        [2.0, 2.0]
    """
    return decentralized(
        loss, local=local, gossip=gossip.averaging(W), local_steps=local_steps, **options
    )


def fedavg(
    loss: Loss,
    *,
    local: optax.GradientTransformation,
    local_steps: int,
    weights: jax.Array | None = None,
    **options: Unpack[LearnerOptions],
) -> Algorithm:
    """Federated averaging (FedAvg): local steps of all clients, then a server's weighted average.

    Clients that the network leaves out of a round (``participates``) neither train nor count, which
    is how clients are sampled: see :mod:`jaxswarm.network`. A round costs two messages per client,
    up and down.

    Args:
        loss: ``loss(params, batch) -> scalar`` of one client.
        local: any optax optimiser of the clients, which keep its state from round to round; as
            published, plain SGD, which has none.
        local_steps: optimiser steps per round, at least 1.
        weights: ``float[N]``, not negative, such as numbers of samples; uniform if omitted.
        **options: ``sample``, ``network``, ``stateful``, ``stochastic``, ``has_aux``,
            ``chunk`` of :func:`decentralized`.

    Raises:
        ValueError: as :func:`decentralized`, and on weights that are negative, not finite or all
            zero.

    References:
        H. B. McMahan et al., Communication-efficient learning of deep networks from decentralized
        data, 2017.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from jaxswarm import learning
        >>> learner = learning.fedavg(lambda x, t: 0.5 * jnp.sum((x - t) ** 2),
        ...                           local=optax.sgd(1.0), local_steps=1,
        ...                           weights=jnp.array([3.0, 1.0]))
        >>> state = learner.init(jnp.zeros(2))
        >>> state, info = jax.jit(learner.step)(jax.random.key(0), state, jnp.array([0.0, 4.0]))
        >>> state.params.tolist()
        [1.0, 1.0]
    """
    return decentralized(
        loss, local=local, gossip=gossip.server(weights), local_steps=local_steps, **options
    )


def isolated(
    loss: Loss,
    *,
    local: optax.GradientTransformation,
    local_steps: int = 1,
    **options: Unpack[LearnerOptions],
) -> Algorithm:
    """Isolated agents, the baseline without communication: every agent trains on its own data.

    Args:
        loss: ``loss(params, batch) -> scalar`` of one agent.
        local: any optax optimiser.
        local_steps: optimiser steps per round, at least 1.
        **options: ``sample``, ``network``, ``stateful``, ``stochastic``, ``has_aux``,
            ``chunk`` of :func:`decentralized`.

    Raises:
        ValueError: as :func:`decentralized`.
    """
    return decentralized(
        loss, local=local, gossip=gossip.identity(), local_steps=local_steps, **options
    )
