"""The run that test_checkpoint.py kills, interrupts and resumes: ``python … FOLDER ROUNDS``."""

import signal
import sys

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import simulate
from jaxswarm.checkpoint import Checkpoint

EVERY = 3


def start():
    return {
        "x": jnp.linspace(-1.0, 1.0, 12, dtype=jnp.float32).reshape(4, 3),
        "half": jnp.ones((4,), jnp.bfloat16),
        "keys": jax.random.split(jax.random.key(5), 4),
        "none": jnp.zeros((4, 0)),
        "t": jnp.int32(0),
    }


def step(key, state, inputs):
    noise = jax.vmap(lambda k: jax.random.normal(k, (3,)))(state["keys"])
    x = 0.9 * state["x"] + noise * inputs + jax.random.normal(key, (4, 3))
    state = {
        **state,
        "x": x,
        "half": state["half"] * 0.5 + x[:, 0].astype(jnp.bfloat16),
        "keys": jax.vmap(lambda k: jax.random.fold_in(k, state["t"]))(state["keys"]),
        "t": state["t"] + 1,
    }
    return state, {"mean": x.mean(axis=1), "t": state["t"], "none": state["none"]}


def evaluate(state):
    return jnp.square(state["x"]).sum()


def run(checkpoint, num_rounds, **options):
    return simulate(
        step,
        start(),
        num_rounds,
        **{
            "key": jax.random.key(11),
            "inputs": np.float32(0.3),
            "every": EVERY,
            "evaluate": evaluate,
            "checkpoint": checkpoint,
            "progress": False,
        }
        | options,
    )


if __name__ == "__main__":
    folder, rounds = sys.argv[1], int(sys.argv[2])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    run(Checkpoint(folder, every_rounds=7), rounds, resume=True, chunk=5)
    print("finished", flush=True)
