"""Every public function of offline reinforcement learning refuses bad input by name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import gossip
from jaxswarm.rl import offline
from tests.rl.bad_input import (
    FLAG,
    FUNCTION,
    KEY,
    NAME,
    NAN,
    NUMBER,
    OBJECT,
    SHARE,
    SIZE,
    THING,
    WIDTHS,
    accepted,
    with_defaults,
)
from tests.rl.test_rl_bad_input import names_of

KEY0 = jax.random.key(0)
H = 3
ROWS = {
    "observation": np.arange(12.0)[:, None],
    "action": np.zeros((12, 1)),
    "terminal": np.arange(12) % 6 == 5,
}
DATA = offline.trajectories(**ROWS)
SHARDS = offline.shard(**ROWS, episodes=[[0], [1]])
NETWORK = offline.chunk_network(1, 1, H, widths=(4,))
DQC = offline.dqc(NETWORK, horizon=H, policy_chunk=1)
SAMPLER = offline.chunks(DATA, H)
LEVEL = (*NUMBER, 0.4, 1.0, jnp.float32(1.0))
NUMBERS = {
    "network": OBJECT,
    "discount": (*SHARE, 0.0, 1.0),
    "lr": (*NUMBER, 0.0),
    "tau": (*SHARE, 0.0),
    "pessimism": SHARE,
    "num_candidates": SIZE,
    "flow_steps": SIZE,
}
CHUNK = {"horizon": (*SIZE, H + 1), "policy_chunk": SIZE}
LOSS = {"difference": ("x", None), "kappa": LEVEL}
ROW = ("x", None, np.zeros(12), np.full((12, 1), NAN))
CASES = {
    "trajectories": (
        with_defaults(offline.trajectories, **ROWS),
        {"observation": ROW, "action": (*ROW, np.full((12, 1), 1.5), np.zeros((11, 1)))}
        | {"terminal": ("x", None, np.zeros(12, bool), np.ones(12, bool), np.ones(12))}
        | {"goal": ("x", np.zeros(12), np.zeros((11, 1)))},
    ),
    "shard": (
        with_defaults(offline.shard, **ROWS, episodes=[[0], [1]]),
        {"episodes": ([], 3, [[0], [0]], [[0], [2]], [[0, 1], []], [["x"], [0]])},
    ),
    "chunks": (
        with_defaults(offline.chunks, trajectories=DATA, horizon=H),
        {"trajectories": OBJECT, "horizon": (*SIZE, 6), "pool": THING}
        | {"shares": (*THING, offline.GoalShares(0.5, 0.5, 0.5), offline.GoalShares(NAN))},
    ),
    "sample_chunks": (
        with_defaults(offline.sample_chunks, key=KEY0, data=DATA, batch_size=2, horizon=H),
        {"key": KEY, "data": OBJECT, "batch_size": SIZE, "horizon": SIZE}
        | {"steps": (0, H + 1, 2.5, "x"), "shares": THING},
    ),
    "chunk_network": (
        with_defaults(offline.chunk_network, num_observations=1, num_actions=1, horizon=H),
        {"num_observations": SIZE, "num_actions": SIZE, "horizon": SIZE, "num_critics": SIZE}
        | {"num_goals": tuple(x for x in SIZE if x is not None), "widths": WIDTHS}
        | {"activation": NAME, "layer_norm": FLAG},
    ),
    "chunk_learner": (
        with_defaults(offline.chunk_learner, network=NETWORK, hyperparameters=DQC.hyperparameters),
        {"network": OBJECT, "hyperparameters": OBJECT, "num_candidates": SIZE, "flow_steps": SIZE},
    ),
    "dqc": (
        with_defaults(offline.dqc, network=NETWORK, horizon=H, policy_chunk=1),
        NUMBERS | CHUNK | {"kappa": (0.9, None, (0.9,), *((x, 0.8) for x in LEVEL))},
    ),
    "dqc_naive": (
        with_defaults(offline.dqc_naive, network=NETWORK, horizon=H, policy_chunk=1),
        NUMBERS | CHUNK | {"kappa_value": LEVEL},
    ),
    "q_chunking": (
        with_defaults(offline.q_chunking, network=NETWORK, horizon=H),
        NUMBERS | {"horizon": CHUNK["horizon"]},
    ),
    "q_chunking_n_step": (
        with_defaults(offline.q_chunking_n_step, network=NETWORK, horizon=H, policy_chunk=1),
        NUMBERS | CHUNK,
    ),
    "n_step": (
        with_defaults(offline.n_step, network=NETWORK, horizon=H),
        NUMBERS | {"horizon": CHUNK["horizon"]},
    ),
    "one_step": (with_defaults(offline.one_step, network=NETWORK), NUMBERS),
    "iql": (
        with_defaults(offline.iql, network=NETWORK),
        NUMBERS | {"expectile": LEVEL, "advantage_weight": (*NUMBER, -1.0)},
    ),
    "behavior_cloning": (
        with_defaults(offline.behavior_cloning, network=NETWORK),
        NUMBERS | {"policy_chunk": SIZE},
    ),
    "fit": (
        with_defaults(offline.fit, key=KEY0, learner=DQC, sampler=SAMPLER, num_steps=1),
        {"key": KEY, "learner": OBJECT, "num_steps": SIZE, "batch_size": SIZE}
        | {"sampler": (*OBJECT, offline.chunks(DATA, H - 1))},
    ),
    "networked": (
        with_defaults(offline.networked, learner=DQC, rule=gossip.identity(), data=SHARDS),
        {"learner": OBJECT, "data": (*OBJECT, DATA), "batch_size": SIZE, "moments": FLAG},
    ),
    "implicit_weight": (
        with_defaults(offline.implicit_weight, difference=jnp.ones(2), kappa=0.7),
        {"kappa": LEVEL},
    ),
    "expectile_loss": (
        with_defaults(offline.expectile_loss, difference=jnp.ones(2), kappa=0.7),
        LOSS,
    ),
    "quantile_loss": (
        with_defaults(offline.quantile_loss, difference=jnp.ones(2), kappa=0.7),
        LOSS,
    ),
    "binary_cross_entropy": (
        with_defaults(offline.binary_cross_entropy, logits=jnp.ones(2), target=0.5),
        {"logits": FUNCTION[1:], "target": FUNCTION[1:]},
    ),
    "expectile_cross_entropy": (
        with_defaults(offline.expectile_cross_entropy, logits=jnp.ones(2), target=0.5, kappa=0.7),
        {"logits": FUNCTION[1:], "target": FUNCTION[1:], "kappa": LEVEL},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_by_name(name):
    call, bad = CASES[name]
    assert accepted(call, bad) == []


def test_every_public_function_is_in_the_battery():
    assert names_of(offline) <= set(CASES)
