"""The GPU kernel, interpreted, against XLA's path; and that it lowers for CUDA at all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.scaling import kernels
from jaxswarm import gossip, topology

SMALL = (4, 8)


@pytest.fixture(scope="module")
def W():
    return gossip.mixing(topology.random_regular(11, 4, seed=1), layout="gather")


def _tree(n, dtype=jnp.float32):
    keys = jax.random.split(jax.random.key(0), 2)
    return {
        "a": jax.random.normal(keys[0], (n, 3, 7), dtype),
        "b": jax.random.normal(keys[1], (n,), dtype),
    }


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_kernel_equals_xla(W, dtype):
    tree = _tree(11, dtype)
    found = kernels.mix(W, tree, block=SMALL, interpret=True)
    expected = gossip.mix(W, tree)
    for name in tree:
        assert found[name].dtype == dtype
        np.testing.assert_allclose(
            np.asarray(found[name], np.float32),
            np.asarray(expected[name], np.float32),
            atol=1e-6 if dtype == jnp.float32 else 1e-2,
        )


def test_kernel_mixes_messages_of_another_dtype(W):
    tree = _tree(11)
    messages = jax.tree.map(lambda x: (2 * x).astype(jnp.bfloat16), tree)
    found = kernels.mix(W, tree, messages, block=SMALL, interpret=True)
    expected = gossip.mix(W, tree, messages)
    for name in tree:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-6)


def test_many_slots_and_padding_rows():
    graph = topology.from_edges([(i, j) for i in range(20) for j in range(i)][:-12], 20)
    W = gossip.mixing(graph, layout="gather")
    assert W.buckets[0].neighbors.shape[1] > 16
    x = jax.random.normal(jax.random.key(1), (20, 5))
    found = kernels.mix(W, x, block=SMALL, interpret=True)
    np.testing.assert_allclose(found, W.dense() @ x, atol=1e-5)


@pytest.mark.slow
def test_gradients_are_those_of_xla(W):
    x = jax.random.normal(jax.random.key(2), (11, 6))

    def through(mix):
        def loss(weights, x):
            bucket = W.buckets[0]
            changed = type(W)(
                W.self_weights,
                (type(bucket)(None, bucket.neighbors, weights, bucket.edges),),
                W.num_agents,
                W.stochasticity,
            )
            return jnp.sum(jnp.sin(mix(changed, x)))

        return jax.grad(loss, argnums=(0, 1))(W.buckets[0].weights, x)

    ours = through(lambda W, x: kernels.mix(W, x, block=SMALL, interpret=True))
    for mine, theirs in zip(ours, through(gossip.mix), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_without_cuda_xla_does_it(W):
    x = jax.random.normal(jax.random.key(3), (11, 6))
    np.testing.assert_array_equal(jax.jit(kernels.mix)(W, x), jax.jit(gossip.mix)(W, x))


@pytest.mark.filterwarnings("ignore:The Pallas Triton backend:DeprecationWarning")
def test_it_lowers_for_cuda(W):
    x = jnp.zeros((11, 300))
    try:
        lowered = jax.jit(kernels.mix).trace(W, x).lower(lowering_platforms=("cuda",))
    except RuntimeError as error:  # from jax 0.11 on it wants to see the device
        pytest.skip(str(error).splitlines()[0])
    assert "gather_mix" in lowered.as_text()


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:The Pallas Triton backend:DeprecationWarning")
def test_on_a_gpu_it_equals_xla():
    if jax.default_backend() != "gpu":
        pytest.skip("needs a GPU")
    W = gossip.mixing(topology.random_regular(1000, 8, seed=0), layout="gather")
    x = jax.random.normal(jax.random.key(4), (1000, 777))
    found, expected = jax.jit(kernels.mix)(W, x), jax.jit(gossip.mix)(W, x)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_unfit_operators_and_blocks_are_refused(W):
    x = jnp.zeros((11, 6))
    with pytest.raises(ValueError, match="layout 'gather', got layout 'dense'"):
        kernels.mix(gossip.mixing(topology.ring(11), layout="dense"), x)
    with pytest.raises(ValueError, match="one bucket over all agents"):
        kernels.mix(gossip.mixing(topology.star(40), layout="gather"), jnp.zeros((40, 2)))
    with pytest.raises(ValueError, match="block: expected two powers of two"):
        kernels.mix(W, x, block=(3, 8))
    sequence = gossip.mixing(topology.one_peer_exponential(8), layout="gather")
    with pytest.raises(ValueError, match="a sequence of 'gather'"):
        kernels.mix(sequence, jnp.zeros((8, 2)))
