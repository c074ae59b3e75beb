"""What moves between devices, from the compiled program: O(cut × parameters), and no all-gather."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import agents, gossip, learning, sharding, topology

N, D, P = 64, 8, 1000
SCALARS = 64  # bytes: reductions of counters are not model traffic


@functools.cache
def mesh():
    return sharding.mesh()


def moved(W, dtype=jnp.float32):
    sharded = sharding.shard(W, mesh())
    params = sharding.shard(jnp.zeros((N, P), dtype), mesh())
    return sharding.moved_bytes(jax.jit(gossip.mix).lower(sharded, params).compile())


def test_ring_gossip_moves_two_rows_per_device_whatever_the_layout():
    for layout in ("circulant", "gather"):
        W = gossip.mixing(topology.ring(N), layout=layout)
        assert moved(W) == {"collective-permute": 2 * P * 4}


def test_bytes_do_not_grow_with_the_swarm_on_a_ring():
    bigger = sharding.shard(gossip.mixing(topology.ring(16 * N)), mesh())
    params = sharding.shard(jnp.zeros((16 * N, P)), mesh())
    compiled = jax.jit(gossip.mix).lower(bigger, params).compile()
    assert sharding.moved_bytes(compiled) == {"collective-permute": 2 * P * 4}


def test_torus_moves_two_rows_of_the_grid():
    W = gossip.mixing(topology.torus(8, N // 8), layout="gather")
    assert moved(W) == {"collective-permute": 2 * 8 * P * 4}


def test_exponential_graph_sends_each_needed_row_once():
    graph = topology.exponential(N)
    sent = moved(gossip.mixing(graph))
    assert set(sent) == {"collective-permute"}
    rows = sharding.cut(graph, D).largest
    assert sent["collective-permute"] == rows * P * 4


def test_general_graph_sends_its_cut_rows_padded_per_shift():
    graph = topology.random_geometric(N, 0.25, seed=0)
    graph = sharding.relabel(graph, sharding.partition(graph, D))
    rows = sharding.cut(graph, D)
    sent = moved(gossip.mixing(graph, layout="gather", connected=False))
    assert set(sent) == {"collective-permute"}
    assert rows.largest * P * 4 <= sent["collective-permute"] < N * (D - 1) // D * P * 4


def test_complete_graph_is_one_all_reduce_and_dense_an_all_gather():
    assert moved(gossip.mixing(topology.complete(N))) == {"all-reduce": P * 4}
    dense = gossip.mixing(topology.ring(N), layout="dense")
    assert moved(dense) == {"all-gather": N * P * 4}


def test_unsharded_operator_on_sharded_agents_shows_what_is_saved():
    W = gossip.mixing(topology.torus(8, N // 8), layout="gather")
    params = sharding.shard(jnp.zeros((N, P)), mesh())
    compiled = jax.jit(gossip.mix).lower(sharding.replicate(W, mesh()), params).compile()
    assert sum(sharding.moved_bytes(compiled).values()) >= N * P * 4


def test_a_whole_learning_round_moves_no_more_than_its_gossip():
    def loss(params, batch):
        return jnp.mean(jnp.square(params["w"] @ batch - params["b"]))

    def sample(key, data):
        rows = jax.vmap(lambda k: jax.random.randint(k, (), 0, len(data)))(agents.keys(key, N))
        return data[rows]

    learner = learning.decentralized(
        loss,
        local=optax.adam(0.1),
        gossip=gossip.averaging(sharding.shard(gossip.mixing(topology.ring(N)), mesh())),
        sample=sample,
        local_steps=2,
    )
    params = {"w": jnp.zeros((N, 10, 90)), "b": jnp.zeros((N, 100 - 90))}
    state = sharding.shard(learner.init(params), mesh())
    data = sharding.replicate(np.ones((500, 90), np.float32), mesh())
    compiled = jax.jit(learner.step).lower(jax.random.key(0), state, data).compile()
    sent = sharding.moved_bytes(compiled)
    size = agents.message_size(params)[1]
    assert sent.pop("collective-permute") == 2 * size
    assert sum(sent.values()) <= SCALARS, sent


def test_donated_state_is_updated_in_place_on_every_device():
    W = sharding.shard(gossip.mixing(topology.ring(N)), mesh())
    params = sharding.shard(jnp.zeros((N, P)), mesh())
    step = jax.jit(lambda x: gossip.mix(W, x), donate_argnums=0)
    memory = step.lower(params).compile().memory_analysis()
    assert memory.alias_size_in_bytes == N // D * P * 4  # the output is the input's own buffer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%p = bf16[2,3]{1,0} collective-permute(%x)", {"collective-permute": 12}),
        ("%g = (f32[4]{0}, f32[8]{0}) all-gather-start(%x)", {"all-gather": 32}),
        ("%r = (f32[], s32[3]{0}) all-reduce(%x, %y)", {"all-reduce": 16}),
        (
            "%s = (f32[4], f32[4], u32[], u32[]) collective-permute-start(%x)",
            {"collective-permute": 16},
        ),
        ("%a = pred[5] all-to-all(%x)\n%b = f32[2] add(%y, %z)", {"all-to-all": 5}),
    ],
)
def test_reading_program_text(text, expected):
    assert sharding.moved_bytes(text) == expected
