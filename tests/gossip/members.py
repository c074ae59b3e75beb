"""Every rule, robust rule, layout and wrapper of gossip, with the rounds that tests of laws run.

A rule that is added to a registry of :mod:`jaxswarm.gossip` is covered by the laws the same day; a
new layout or wrapper goes into ``LAYOUTS`` or ``WRAPPERS``.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import gossip, topology

N = 8
RING, COMPLETE = topology.ring(N), topology.complete(N)
W = gossip.mixing(RING)
KEY = jax.random.key(7)
X = {"w": jax.random.normal(KEY, (N, 3)), "b": 1.0 + jax.random.normal(KEY, (N,))}
ABSENT = 2
THERE = jnp.arange(N) != ABSENT

LAYOUTS = {
    f"averaging, {graph.name}, {layout}": (
        lambda graph=graph, layout=layout, weights=weights: gossip.averaging(
            gossip.mixing(graph, weights, layout)
        )
    )
    for graph, layout, weights in [
        *[(RING, layout, "metropolis") for layout in ("circulant", "gather", "segment", "dense")],
        (topology.star(N), "gather", "metropolis"),
        (COMPLETE, "mean", "metropolis"),
        (COMPLETE, "dense", "metropolis"),
    ]
}
WRAPPERS = {
    "scheduled": lambda rule: gossip.scheduled(rule, gossip.every_k_rounds(1)),
    "delayed": lambda rule: gossip.delayed(rule, 2),
    "delayed by sender": lambda rule: gossip.delayed(rule, np.arange(N) % 3),
    "attacked": lambda rule: gossip.attacked(rule, gossip.attacks.no_attack(), ~THERE),
    "attacked by one of": lambda rule: gossip.attacked_by_one_of(
        rule, [gossip.attacks.no_attack()], 0, ~THERE
    ),
    "with_extras": lambda rule: gossip.with_extras(rule),
    "compressed": lambda rule: gossip.compressed(rule, gossip.top_k(0.5)),
    "compressed without feedback": lambda rule: gossip.compressed(
        rule, gossip.quantize(8), error_feedback=False
    ),
}
INNER = {
    "averaging": lambda: gossip.averaging(W),
    "complete mean": lambda: gossip.averaging(gossip.complete_mean(N)),
    "momentum": lambda: gossip.momentum_averaging(W),
    "variance": lambda: gossip.variance_corrected(W),
    "median": lambda: gossip.robust.median(RING),
}
RULES = {
    **{name: (lambda make=make: make(RING)) for name, make in gossip.RULES.items()},
    **{
        f"robust {name}": (lambda make=make: make(COMPLETE, 1))
        for name, make in gossip.ROBUST_RULES.items()
    },
    **LAYOUTS,
    "random neighbours": lambda: gossip.averaging(gossip.random_neighbors(N, 2.5)),
    "random neighbours of a graph": lambda: gossip.averaging(
        gossip.random_neighbors(N, 1.5, topology=RING)
    ),
    "matching": lambda: gossip.pairwise(RING, parallel=True),
    "two steps": lambda: gossip.averaging(W, steps=2),
    "sequence": lambda: gossip.averaging(gossip.mixing(topology.one_peer_exponential(N))),
    "doubly push-sum": lambda: gossip.push_sum(W),
    **{
        f"{name}({inner})": (lambda wrap=wrap, make=make: wrap(make()))
        for name, wrap in WRAPPERS.items()
        for inner, make in INNER.items()
        if inner == "averaging" or name in ("delayed", "compressed")
    },
}
ANSWERS_THE_ABSENT = {"server"}  # sampled clients begin with the server's model: see its docstring
KEEPS_FINITE = {name for name in RULES if "compressed" in name or name == "choco"}


@functools.cache
def rule_of(name):
    """The rule, and its mix compiled once for all tests of absence: masks are arguments."""
    rule = RULES[name]()
    all_agents = jnp.ones(N, bool)

    @jax.jit
    def mix(index, params, state, alive, participates):
        exchange = gossip.Exchange(index, alive=alive, participates=participates)
        return rule.mix(jax.random.fold_in(KEY, index), params, state, exchange)

    def rounds(params, alive=all_agents, participates=all_agents, count=3):
        state = rule.init(params)
        for index in range(count):
            params, state, traffic = mix(jnp.int32(index), params, state, alive, participates)
        return params, state, traffic

    return rule, rounds


compiled = functools.cache(jax.jit)


def rounds(rule, params, exchange, count=3):
    """Mix a few rounds: parameters, the rule's state and the traffic of each round."""
    state, traffic = rule.init(params), []
    for index in range(count):
        now = exchange._replace(index=jnp.int32(index))
        key = jax.random.fold_in(KEY, index)
        params, state, sent = compiled(rule.mix)(key, params, state, now)
        traffic.append(sent)
    return params, state, traffic


def spoiled(params, value):
    def spoil(x):
        x = np.array(x)
        x[ABSENT] = value
        return jnp.asarray(x)

    return jax.tree.map(spoil, params)


def row(tree, agent=ABSENT):
    return jax.tree.map(lambda x: np.asarray(x)[agent], tree)


def absences(name):
    yield {"alive": THERE}
    if name not in ANSWERS_THE_ABSENT:
        yield {"participates": THERE}


def wrapped_once(names):
    """Members for a test; wrappers of a rule other than averaging are slow."""
    others = tuple(f"({inner})" for inner in INNER if inner != "averaging")
    return [pytest.param(x, marks=pytest.mark.slow) if x.endswith(others) else x for x in names]


def marked(names):
    """Members for a test; rules made of others (layouts, wrappers) are slow."""
    plain = {*gossip.RULES, *(f"robust {name}" for name in gossip.ROBUST_RULES)}
    return [name if name in plain else pytest.param(name, marks=pytest.mark.slow) for name in names]
