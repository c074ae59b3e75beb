"""Rules inside ``sharding.local`` draw by global agent id: any number of devices, one result."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import agents, gossip, sharding, topology
from jaxswarm.gossip import Exchange, attacks
from jaxswarm.gossip.compression import COMPRESSORS

N, D, ROUNDS = 16, 4, 3
FACTORIES = {
    "top_k": lambda: COMPRESSORS["top_k"](0.5),
    "random_k": lambda: COMPRESSORS["random_k"](0.5),
    "quantize": lambda: COMPRESSORS["quantize"](4),
    "sign": lambda: COMPRESSORS["sign"](),
    "cast": lambda: COMPRESSORS["cast"](),
}
GRAPHS = {
    "ring": lambda: topology.ring(N),
    "scale_free": lambda: topology.barabasi_albert(N, 2, seed=0),
    "complete": lambda: topology.complete(N),
}


def swarm():
    key = jax.random.key(5)
    return {
        "w": jax.random.normal(key, (N, 4, 2)),
        "b": jax.random.normal(jax.random.fold_in(key, 1), (N, 3)),
    }


def go(rule, params):
    def one(index, carry):
        params, state, sent = carry
        key = jax.random.fold_in(jax.random.key(0), index)
        params, state, traffic = rule.mix(key, params, state, Exchange(index))
        return params, state, sent + traffic.bytes

    params, _, sent = jax.lax.fori_loop(0, ROUNDS, one, (params, rule.init(params), 0.0))
    return params, sent


def on_devices(make, W, how):
    """The same rounds with ``N/D`` agents on each device."""

    def part(params):
        return go(make(sharding.local(W, "devices", D)), params)

    if how == "pmap":
        cut = jax.tree.map(lambda x: x.reshape(D, N // D, *x.shape[1:]), swarm())
        params, sent = jax.pmap(part, axis_name="devices")(cut)
        return jax.tree.map(lambda x: x.reshape(N, *x.shape[2:]), params), sent[0]
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:D]), ("devices",))
    spec = jax.P("devices")
    mapped = jax.shard_map(part, mesh=mesh, in_specs=spec, out_specs=(spec, jax.P()))
    return jax.jit(mapped)(swarm())


def same(found, expected):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=2e-6, rtol=2e-6)


def test_every_compressor_is_covered():
    assert FACTORIES.keys() == COMPRESSORS.keys()


MAPPED = [("ring", "pmap"), ("scale_free", "pmap"), ("complete", "shard_map")]


def slowly(cases):
    return (pytest.param(*case, marks=pytest.mark.slow) for case in cases)


# One graph is enough for a compressor that draws nothing, and for messages without feedback.
COMPRESSED = [
    *((name, *MAPPED[0], True) for name in COMPRESSORS),
    *slowly((name, *MAPPED[0], False) for name in COMPRESSORS),
    *slowly((name, *how, True) for name in ("random_k", "quantize") for how in MAPPED[1:]),
]


@pytest.mark.parametrize(("name", "graph", "how", "feedback"), COMPRESSED)
def test_compressed_gossip_on_four_devices_is_that_on_one(name, graph, how, feedback):
    W = gossip.mixing(GRAPHS[graph]())

    def make(W):
        return gossip.compressed(
            gossip.averaging(W), FACTORIES[name](), step_size=0.3, error_feedback=feedback
        )

    same(on_devices(make, W, how), jax.jit(functools.partial(go, make(W)))(swarm()))


@pytest.mark.parametrize("name", COMPRESSORS)
def test_choco_on_four_devices_is_that_on_one(name):
    W = gossip.mixing(topology.ring(N))

    def make(W):
        return gossip.choco(W, FACTORIES[name](), 0.3)

    same(on_devices(make, W, "pmap"), jax.jit(functools.partial(go, make(W)))(swarm()))


@pytest.mark.parametrize("attack", ["scaled_noise", "one_sided_noise"])
def test_noise_on_four_devices_is_that_on_one(attack):
    W = gossip.mixing(topology.ring(N))

    def make(W):
        byzantine = jnp.arange(W.num_agents) % (N // D) == 1
        return attacks.attacked(gossip.averaging(W), getattr(attacks, attack)(), byzantine)

    same(on_devices(make, W, "pmap"), jax.jit(functools.partial(go, make(W)))(swarm()))


def test_keys_are_global_only_where_a_local_operators_axis_is_mapped(key):
    share = N // D
    sharding.local(gossip.mixing(topology.ring(N)), "there", D)
    drawn = jax.random.key_data(agents.keys(key, N))

    def mapped(axis, count, **options):
        def one(_):
            return jax.random.key_data(agents.keys(key, count, **options))

        return np.asarray(jax.vmap(one, axis_name=axis)(jnp.arange(D)))

    np.testing.assert_array_equal(mapped("there", share).reshape(N, -1), drawn)
    for axis, count, options in (
        ("elsewhere", share, {}),
        ("there", share - 1, {}),
        ("there", share, {"offset": 0}),
    ):
        found = mapped(axis, count, **options)
        np.testing.assert_array_equal(found, np.broadcast_to(drawn[:count], found.shape))
    np.testing.assert_array_equal(jax.random.key_data(agents.keys(key, share)), drawn[:share])


def test_a_wrong_number_of_shards_is_named_where_it_is_mapped():
    inside = sharding.local(gossip.mixing(topology.ring(N)), "devices", 2)
    with pytest.raises(ValueError, match="shards: expected 4, the size of axis 'devices', got 2"):
        jax.pmap(lambda x: gossip.mix(inside, x), axis_name="devices")(jnp.zeros((4, 8, 1)))
