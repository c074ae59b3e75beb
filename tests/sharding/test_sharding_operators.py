"""Sharded mixing equals unsharded mixing: every layout, eight devices, inside ``jax.pmap``."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import agents, gossip, sharding, topology
from jaxswarm.gossip import Exchange

N, D = 48, 8
TOLERANCE = 1e-6  # entries of order one, sums of at most 48 of them in float32

GRAPHS = {
    "ring": lambda: topology.ring(N),
    "exponential": lambda: topology.exponential(N),
    "torus": lambda: topology.torus(8, 6),
    "scale_free": lambda: topology.barabasi_albert(N, 2, seed=0),
    "star": lambda: topology.star(N),
    "complete": lambda: topology.complete(N),
}
CASES = [(name, "auto") for name in GRAPHS] + [
    ("ring", "gather"),
    ("scale_free", "segment"),
    ("torus", "dense"),
]


@functools.cache
def mesh():
    return sharding.mesh()


@functools.cache
def operators(name, layout):
    W = gossip.mixing(GRAPHS[name](), layout=layout)
    return W, sharding.shard(W, mesh())


@functools.cache
def swarm(seed=0):
    key = jax.random.key(seed)
    return {
        "w": jax.random.normal(key, (N, 3, 2)),
        "b": jax.random.normal(jax.random.fold_in(key, 1), (N,)),
    }


def close(a, b, tolerance=TOLERANCE):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), atol=tolerance, rtol=tolerance)


mixed = jax.jit(gossip.mix)


@pytest.mark.parametrize(("name", "layout"), CASES)
def test_mix_equals_the_unsharded_one_and_stays_on_the_mesh(name, layout):
    W, sharded = operators(name, layout)
    placed = sharding.shard(swarm(), mesh())
    out = mixed(sharded, placed)
    close(out, mixed(W, swarm()))
    assert all(x.sharding.spec == jax.P("agents") for x in jax.tree.leaves(out))


@pytest.mark.parametrize(("name", "layout"), CASES)
def test_members_of_the_protocol(name, layout):
    W, sharded = operators(name, layout)
    assert isinstance(sharded, gossip.Mixing)
    assert (sharded.num_agents, sharded.stochasticity) == (N, W.stochasticity)
    assert sharded.layout == ("gather" if layout == "segment" else W.layout)
    assert float(sharded.num_messages()) == float(W.num_messages())
    close(sharded.dense(), W.dense())


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["metropolis", "push"])
@pytest.mark.parametrize(
    ("name", "layout"),
    [("ring", "auto"), ("scale_free", "auto"), ("torus", "dense")],
)
def test_losses_and_absences(name, layout, weights, key):
    graph = GRAPHS[name]()
    W = gossip.mixing(graph, weights, layout=layout)
    active = jax.random.bernoulli(key, 0.8, (N,))
    delivered = jax.random.bernoulli(jax.random.fold_in(key, 1), 0.7, (graph.num_edge_slots,))

    @jax.jit
    def lossy(W, tree):
        restricted = W.restrict(active, delivered)
        return gossip.mix(restricted, tree), restricted.num_messages(), restricted.dense()

    close(lossy(sharding.shard(W, mesh()), swarm()), lossy(W, swarm()))


def test_restricted_mean_becomes_dense(key):
    W, sharded = operators("complete", "auto")
    assert sharded.layout == "mean"
    active = jax.random.bernoulli(key, 0.5, (N,))
    close(mixed(sharded.restrict(active), swarm()), mixed(W.restrict(active), swarm()))


@pytest.mark.parametrize("layout", ["gather", "segment", "dense"])
def test_sequences_are_indexed_by_traced_rounds(layout):
    graphs = topology.one_peer_exponential(N)
    W = gossip.mixing(graphs, layout=layout)
    sharded = sharding.shard(W, mesh())
    at = jax.jit(lambda W, t, x: gossip.mix(W[t], x))
    for t in range(graphs.length):
        close(at(sharded, t, swarm()), at(W, t, swarm()))


@pytest.mark.parametrize("degree", [2, 20])
def test_wide_neighbourhoods_and_messages_other_than_what_is_held(degree):
    graph = topology.random_regular(N, degree, seed=1)
    W = gossip.mixing(graph, layout="gather")
    sent = swarm(5)
    close(gossip.mix(sharding.shard(W, mesh()), swarm(), sent), gossip.mix(W, swarm(), sent))


@pytest.mark.parametrize(
    ("hops", "devices"),
    [
        ((1,), 8),
        ((5, 6, 7), 8),
        ((-1, 1), 2),
        ((-13, 2, 13, 47), 1),
        ((-13, 2, 13, 47), 3),
        ((-13, 2, 13, 47), 8),
        ((24,), 2),
    ],
)
def test_circulant_hops_of_any_length(hops, devices):
    hops = tuple(sorted({h % N for h in hops}))
    edges = [((i + h) % N, i) for i in range(N) for h in hops]
    graph = topology.from_edges(edges, N, directed=True, offsets=hops)
    W = gossip.mixing(graph, "uniform", layout="circulant", connected=False)
    close(gossip.mix(sharding.shard(W, sharding.mesh(devices)), swarm()), gossip.mix(W, swarm()))


def test_gradients_pass_through():
    W, sharded = operators("torus", "auto")

    def energy(W, x):
        return jnp.sum(jnp.square(gossip.mix(W, x)["w"]))

    gradient = jax.jit(jax.grad(energy, argnums=1))
    close(gradient(sharded, swarm()), gradient(W, swarm()), 1e-5)


def test_replicas_by_vmap():
    W, sharded = operators("ring", "auto")
    seeds = jax.tree.map(lambda *x: jnp.stack(x), *[swarm(s) for s in range(3)])
    many = jax.jit(jax.vmap(gossip.mix, in_axes=(None, 0)))
    close(many(sharded, seeds), many(W, seeds))


@pytest.mark.parametrize(
    ("name", "layout"),
    [("ring", "auto"), ("exponential", "auto"), ("scale_free", "auto"), ("complete", "auto")],
)
def test_gossip_step_inside_a_literal_pmap(name, layout, key):
    W, _ = operators(name, layout)
    alive = jax.random.bernoulli(key, 0.9, (N,))
    rule = gossip.averaging(W, steps=2)
    expected, _, traffic = rule.mix(key, swarm(), (), Exchange(0, alive=alive))
    inside = gossip.averaging(sharding.local(W, "devices", D), steps=2)

    def step(params, alive):
        return inside.mix(key, params, (), Exchange(0, alive=alive))

    def cut(x):
        return x.reshape(D, N // D, *x.shape[1:])

    params, _, sent = jax.pmap(step, axis_name="devices")(jax.tree.map(cut, swarm()), cut(alive))
    close(jax.tree.map(lambda x: x.reshape(N, *x.shape[2:]), params), expected)
    assert set(np.asarray(sent.messages).tolist()) == {float(traffic.messages)}


def test_rules_with_state_inside_pmap_and_shard_map(key):
    W = gossip.mixing(topology.exponential(N), "push")
    rule = gossip.push_sum(W)
    expected, state, _ = rule.mix(key, swarm(), rule.init(swarm()), Exchange(0))

    def step(params):
        inner = gossip.push_sum(sharding.local(W, "agents"))
        params, state, _ = inner.mix(key, params, inner.init(params), Exchange(0))
        return params, state.weight

    spec = jax.P("agents")
    mapped = jax.shard_map(step, mesh=mesh(), in_specs=spec, out_specs=spec)
    params, weight = jax.jit(mapped)(swarm())
    close((params, weight), (expected, state.weight))


def test_local_operator_of_a_wide_graph_in_a_checked_shard_map():
    W = gossip.mixing(topology.random_regular(N, 20, seed=0), layout="gather")
    inside = sharding.local(W, "agents", D)
    spec = jax.P("agents")
    step = jax.shard_map(
        lambda x: gossip.mix(inside, x), mesh=mesh(), in_specs=spec, out_specs=spec
    )
    close(jax.jit(step)(swarm()), gossip.mix(W, swarm()))


def test_agents_functions_and_server_by_plain_jit(key):
    placed = sharding.shard(swarm(), mesh())
    rule = gossip.server()

    def look(tree):
        averaged, _, _ = rule.mix(key, tree, (), Exchange(0))
        return agents.mean(tree), agents.disagreement(tree), averaged, agents.ravel(tree)[0]

    close(jax.jit(look)(placed), jax.jit(look)(swarm()))


def test_spectral_rules_accept_sharded_operators(key):
    W, sharded = operators("torus", "auto")
    for make in (functools.partial(gossip.chebyshev, steps=3), gossip.momentum_averaging):
        plain, many = make(W), make(sharded)
        a, _, _ = plain.mix(key, swarm(), plain.init(swarm()), Exchange(0))
        b, _, _ = jax.jit(many.mix)(key, swarm(), many.init(swarm()), Exchange(0))
        close(a, b, 1e-5)


def test_indivisible_swarms_are_refused_with_advice():
    with pytest.raises(ValueError, match=r"50 agents .* 8 devices; use 56 agents .*mesh\(5\)"):
        sharding.shard(gossip.mixing(topology.ring(50)), mesh())
    with pytest.raises(ValueError, match="50 agents"):
        sharding.shard(jnp.zeros((50, 2)), mesh())
    with pytest.raises(ValueError, match="50 agents"):
        sharding.local(gossip.mixing(topology.ring(50)), "i", 8)


@pytest.mark.parametrize(("name", "layout"), CASES)
def test_operators_inside_a_pytree_are_sharded_as_operators(name, layout):
    W, _ = operators(name, layout)
    tree = (W, {"state": swarm(), "history": jnp.zeros((3, N)), "round": jnp.int32(0)}, [W])
    placed = sharding.shard(tree, mesh())
    for operator in (placed[0], placed[2][0]):
        assert isinstance(operator, sharding.Sharded)
        close(mixed(operator, placed[1]["state"]), mixed(W, swarm()))
    assert placed[1]["state"]["w"].sharding.spec == jax.P("agents")
    assert placed[1]["history"].sharding.spec == jax.P(None, "agents")
    assert placed[1]["round"].sharding.spec == jax.P()


def test_operators_give_the_number_of_agents_of_their_tree():
    W, _ = operators("ring", "auto")
    placed = sharding.shard((W, jnp.zeros(5), jnp.zeros((N, 2))), mesh())
    assert placed[1].sharding.spec == jax.P()
    assert placed[2].sharding.spec == jax.P("agents")
    with pytest.raises(ValueError, match=r"num_agents: expected 48 like the operator .* got 8"):
        sharding.shard((W, jnp.zeros(8)), mesh(), num_agents=8)
    with pytest.raises(ValueError, match=r"num_agents: expected leaves .* got \[16, 48\]"):
        sharding.shard((W, gossip.mixing(topology.ring(16))), mesh())


BAD = {
    "devices": [2.5, "2", True, 0, -1, float("nan"), [0], ["cpu"], lambda: [jax.devices()[0]] * 2],
    "num_agents": [2.5, "8", True, 0, float("nan"), 16],
    "shards": [2.5, "8", True, 0, -1, float("nan")],
    "mesh": [8, None, "agents", lambda: jax.sharding.Mesh(np.array(jax.devices()), ("x",))],
    "order": [[0.5, 1], "ab", [0, 0, 1, 2], None],
    "topology": [8, None, "ring"],
    "axis_name": [None, 0, 1.5],
    "compiled": [None, 3],
    "tree": ["text", object, 2**40, np.array([1, 2**40]), np.array([1e300])],
    "W": [None, "ring", np.eye(4)],
}


def arguments(*names):
    return [(name, value) for name in names for value in BAD[name]]


def ring():
    return topology.ring(4)


CALLS = {
    "devices": lambda v: sharding.mesh(v),
    "num_agents": lambda v: sharding.shard(jnp.zeros((8, 2)), mesh(), num_agents=v),
    "shards": lambda v: sharding.agents_per_device(8, v),
    "mesh": lambda v: sharding.shard(jnp.zeros(8), v),
    "order": lambda v: sharding.relabel(ring(), v),
    "topology": lambda v: sharding.cut(v, 2),
    "axis_name": lambda v: sharding.local(gossip.mixing(ring()), v, 2),
    "compiled": sharding.moved_bytes,
    "tree": lambda v: sharding.shard({"a": jnp.zeros(8), "b": v}, mesh(), num_agents=8),
    "W": lambda v: sharding.local(v, "i", 2),
}


@pytest.mark.parametrize(("name", "value"), arguments(*BAD))
def test_bad_arguments_are_named(name, value):
    value = value() if callable(value) and value is not object else value
    with pytest.raises(ValueError, match=name):
        CALLS[name](value)


@pytest.mark.parametrize("value", BAD["shards"])
def test_bad_numbers_of_shards_are_named(value):
    for call in (sharding.cut, sharding.partition):
        with pytest.raises(ValueError, match="num_shards: expected"):
            call(ring(), value)
    with pytest.raises(ValueError, match="shards: expected"):
        sharding.local(gossip.mixing(ring()), "i", value)
    with pytest.raises(ValueError, match="num_agents: expected"):
        sharding.agents_per_device(value, 1)


def test_bad_arguments():
    W, sharded = operators("ring", "auto")
    with pytest.raises(ValueError, match="not sharded yet"):
        sharding.shard(sharded, mesh())
    with pytest.raises(ValueError, match="concrete"):
        jax.jit(lambda W: sharding.shard(W, mesh()))(W)
    with pytest.raises(ValueError, match="shards: expected"):
        sharding.local(W, "nowhere")
    with pytest.raises(ValueError, match=r"devices: expected a number in \[1, 8\]"):
        sharding.mesh(9)
    with pytest.raises(ValueError, match="at least one device"):
        sharding.mesh([])
    with pytest.raises(ValueError, match=r"num_agents: expected leaves .*\[8, 16\]"):
        sharding.shard({"a": jnp.zeros(8), "b": jnp.zeros(16)}, mesh())
