"""What test_sharding_processes.py runs: ``python … OUT CHECKPOINT ROUNDS [long]``.

A gossip learner on a ring with adam (integer and float state), a random key per agent; process 0
writes the final state and the records to OUT.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm import Checkpoint, agents, gossip, launch, learning, sharding, simulate, topology
from jaxswarm.sharding import processes

N = 16


def loss(params, batch):
    return jnp.mean(jnp.square(params["w"] @ batch["x"] + params["b"] - batch["y"]))


def sample(key, inputs):
    def single(key, shift):
        x = jax.random.normal(key, (3,))
        return {"x": x, "y": jnp.sin(x[:2]) + shift}

    return jax.vmap(single)(agents.keys(key, N), inputs)


def build(mesh):
    """``(step, state, inputs)``; on the mesh if there is one."""
    key = jax.random.key(3)
    params = agents.initialize(
        key, lambda k: {"w": jax.random.normal(k, (2, 3)), "b": jnp.zeros(2)}, N
    )
    W = gossip.mixing(topology.ring(N))
    inputs = jnp.asarray(np.linspace(-1.0, 1.0, N, dtype=np.float32))
    if mesh is not None:
        W, inputs = sharding.shard(W, mesh), sharding.shard(inputs, mesh)
    learner = learning.decentralized(
        loss, local=optax.adam(0.05), gossip=gossip.averaging(W), sample=sample
    )
    state = {
        "learner": learner.init(params),
        "keys": agents.keys(jax.random.key(7), N),
        "counts": jnp.arange(N, dtype=jnp.int32),
    }
    if mesh is not None:
        state = sharding.shard(state, mesh, num_agents=N)

    def step(key, state, inputs):
        inner, info = learner.step(key, state["learner"], inputs)
        keys = jax.vmap(jax.random.fold_in)(state["keys"], state["counts"])
        draws = jax.vmap(lambda k: jax.random.randint(k, (), 0, 1000))(keys)
        counts = state["counts"] + draws
        return {"learner": inner, "keys": keys, "counts": counts}, info

    return step, state, inputs


def run(mesh, rounds, checkpoint=None, resume=False, **options):
    step, state, inputs = build(mesh)
    state, records = simulate(
        step,
        state,
        rounds,
        key=jax.random.key(11),
        inputs=inputs,
        every=5,
        evaluate=lambda s: agents.disagreement(s["learner"].params),
        checkpoint=None if checkpoint is None else Checkpoint(checkpoint, every_rounds=10),
        resume=resume,
        progress=False,
        **options,
    )
    state = {**state, "keys": jax.random.key_data(state["keys"])}
    return jax.tree.map(processes.to_host, state), records


def flat(state, records):
    leaves = jax.tree_util.tree_leaves_with_path({"state": state, "records": records})
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


if __name__ == "__main__":
    out, checkpoint, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    launch.initialize(heartbeat_timeout_s=10)
    mesh = sharding.mesh() if jax.device_count() > 1 else None
    options = {}
    if sys.argv[4:] == ["long"]:
        rounds, options = 1_000_000, {"chunk": 10}
    try:
        state, records = run(mesh, rounds, checkpoint, resume=True, **options)
    except KeyboardInterrupt as stopped:
        print(stopped, flush=True)
        raise
    if jax.process_index() == 0:
        np.savez(out, **flat(state, records))
    print(f"round {rounds} on {jax.device_count()} devices", flush=True)
