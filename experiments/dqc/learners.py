"""Training and evaluation of all arms on the grid tasks, in one program.

Arms differ by numbers (:class:`jaxswarm.rl.offline.ChunkHyperparameters`), tasks by tables, so that
arms, seeds and tasks are ``vmap`` axes. Arms of a seed see the same batches.

Shapes: ``W`` tasks, ``S`` seeds, ``M`` arms, ``P`` evaluation pairs, ``B`` episodes.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.dqc.config import Config
from experiments.dqc.worlds import ALLOWED, NUM_FEATURES, GridTask
from experiments.harness.compile import jit_fast_compile
from jaxswarm.envs.corridor_maze import MOVES
from jaxswarm.rl import offline
from jaxswarm.types import Key, Params

Numbers = dict[str, float]

BLOCK = 50  # steps whose batches are drawn at once
LAST_RATE = 0.05  # step size at the end of training, as a share of the first

PLAIN = ("BC", "IQL", "OS", "NS", "QC", "QC-NS", "DQC-naive", "DQC")
ABLATIONS = ("no optimism", "κ_d=.5", "κ_b=.5")


class World(NamedTuple):
    """Tables of a task that evaluation needs, traced."""

    after: jax.Array
    features: jax.Array
    slip: jax.Array
    pairs: jax.Array
    limits: jax.Array


class Start(NamedTuple):
    """What a learner starts from.

    Attributes:
        params: initial parameters.
        train: random key of the training.
        test: random key of the evaluation.
    """

    params: Params
    train: Key
    test: Key

    def given(self, network: offline.ChunkNetwork) -> offline.ChunkNetwork:
        """The network with these initial parameters."""
        return network._replace(init=lambda _: self.params)


def make_network(config: Config) -> offline.ChunkNetwork:
    """The networks that all arms share."""
    return offline.chunk_network(
        NUM_FEATURES,
        2,
        config.horizon,
        widths=(config.width, config.width),
        num_critics=1,
        activation="relu",
        layer_norm=False,
    )


def arm_numbers(config: Config, network: offline.ChunkNetwork) -> dict[str, Numbers]:
    """Hyper-parameters of every arm, from the library's named methods."""
    shared = {
        "discount": config.discount,
        "lr": config.lr,
        "tau": config.tau,
        "num_candidates": config.candidates,
        "flow_steps": config.flow_steps,
    }
    value = {"kappa_value": config.kappa_value}
    h, short, middle = config.horizon, config.policy_chunk, config.middle_chunk
    levels = (config.kappa_distill, config.kappa_value)

    def decoupled(kappa: tuple[float, float]) -> offline.OfflineLearner:
        return offline.dqc(network, horizon=h, policy_chunk=short, kappa=kappa, **shared)

    iql = {"expectile": config.expectile, "advantage_weight": config.advantage_weight}
    made = {
        "BC": offline.behavior_cloning(network, **shared),
        "IQL": offline.iql(network, **iql, **shared),
        "OS": offline.one_step(network, **value, **shared),
        "NS": offline.n_step(network, horizon=h, **value, **shared),
        "QC": offline.q_chunking(network, horizon=h, **value, **shared),
        "QC-NS": offline.q_chunking_n_step(
            network, horizon=h, policy_chunk=middle, **value, **shared
        ),
        "DQC-naive": offline.dqc_naive(network, horizon=h, policy_chunk=short, **value, **shared),
        "DQC": decoupled(levels),
        "no optimism": decoupled((0.5, 0.5)),
        "κ_d=.5": decoupled((0.5, levels[1])),
        "κ_b=.5": decoupled((levels[0], 0.5)),
    }
    return {name: learner.hyperparameters._asdict() for name, learner in made.items()}


def stacked(numbers: dict[str, Numbers], names: tuple[str, ...]) -> offline.ChunkHyperparameters:
    """Hyper-parameters of several arms, leaves ``[M]``."""
    columns = {
        field: np.array([numbers[name][field] for name in names])
        for field in offline.ChunkHyperparameters._fields
    }
    return offline.ChunkHyperparameters(**columns)


def world_of(task: GridTask) -> World:
    """The tables of a task."""
    starts, goals = task.pairs.T
    limits = np.ceil(ALLOWED * task.distance[starts, goals]).astype(np.int32)
    return World(np.asarray(task.after), task.features, np.float32(task.slip), task.pairs, limits)  # type: ignore[arg-type]


def learner_of(
    config: Config, network: offline.ChunkNetwork, hp: offline.ChunkHyperparameters
) -> offline.OfflineLearner:
    """The learner of one arm; its numbers may be traced."""
    return offline.chunk_learner(
        network, hp, num_candidates=config.candidates, flow_steps=config.flow_steps
    )


def starts(network: offline.ChunkNetwork, keys: Key) -> tuple[Start, Start]:
    """Starts of single learners and of networked agents for keys ``[S]``, leaves ``[S, …]``.

    Programs that train take them as an argument: half of their compilation would be for drawing.
    """

    def drawn(key: Key) -> Start:
        single, team = jax.random.split(key), jax.random.split(key, 3)
        init, train = (jnp.stack([single[k], team[k]]) for k in range(2))
        test = jnp.stack([jax.random.fold_in(key, 1), team[2]])
        return Start(jax.vmap(network.init)(init), train, test)

    def both(keys: Key) -> tuple[Start, Start]:
        made = jax.vmap(drawn, out_axes=1)(keys)
        return jax.tree.map(lambda x: x[0], made), jax.tree.map(lambda x: x[1], made)

    return jit_fast_compile(both, level=0)(keys)


def train(
    start: Start,
    config: Config,
    network: offline.ChunkNetwork,
    data: offline.Trajectories,
    hp: offline.ChunkHyperparameters,
) -> Params:
    """Train one arm on one data set, with a decaying step size.

    Returns:
        Its parameters, with the target copy (a moving average) of the critic that the policy uses.
    """

    def draw(key: Key) -> tuple[Key, offline.ChunkBatch]:
        batch_key, key = jax.random.split(key)
        batch = offline.sample_chunks(
            batch_key, data, config.batch, config.horizon, steps=hp.horizon
        )
        return key, batch

    def step(state: offline.OfflineState, inputs: Any) -> tuple[offline.OfflineState, None]:
        (key, batch), share = inputs
        learner = learner_of(config, network, hp._replace(lr=share * hp.lr))
        return learner.step(key, state, batch)[0], None

    def block(state: offline.OfflineState, inputs: Any) -> tuple[offline.OfflineState, None]:
        keys, shares = inputs
        return jax.lax.scan(step, state, (jax.vmap(draw)(keys), shares))

    # Draws of many steps at once take fewer operations than those of one step after the other.
    blocks = (config.steps // math.gcd(config.steps, BLOCK), -1)
    keys = jax.random.split(start.train, config.steps).reshape(blocks)
    state = learner_of(config, start.given(network), hp).init(start.train)
    state = jax.lax.scan(block, state, (keys, decay(config.steps).reshape(blocks)))[0]
    return final_params(state)


def final_params(state: offline.OfflineState) -> Params:
    """Parameters with the target copy (a moving average) of the critic that the policy uses."""
    return state.params | {"chunk": state.target, "distilled": state.target}


def decay(steps: int) -> jax.Array:
    """Shares of the first step size, from 1 along a cosine to ``LAST_RATE``, ``[steps]``."""
    wave = 0.5 * (1.0 + jnp.cos(jnp.pi * jnp.arange(steps) / steps))
    return LAST_RATE + (1.0 - LAST_RATE) * wave


def evaluate(
    key: jax.Array,
    config: Config,
    network: offline.ChunkNetwork,
    params: Params,
    hp: offline.ChunkHyperparameters,
    world: World,
    num_steps: int,
) -> tuple[jax.Array, jax.Array]:
    """Success ``[P]`` of one arm, and the cells of its first episode of every pair ``[P, T]``.

    Under ``vmap`` all go on until the last episode ends, by success or at its limit.
    """
    learner = learner_of(config, network, hp)
    pairs, limits = (jnp.repeat(jnp.asarray(x), config.repeats, 0) for x in world[3:])
    start, goal = pairs[:, 0], pairs[:, 1]
    count = len(start)
    aims = jnp.asarray(world.features)[goal]

    keys = jax.random.split(key, num_steps)

    def active(time: jax.Array, done: jax.Array) -> jax.Array:
        return ~done & (time < limits)

    def step(carry: Any) -> Any:
        time, cell, last, done, chunk, cells = carry
        plan_key, slip_key = jax.random.split(keys[time])
        place = time % hp.executed
        fresh = learner.act(plan_key, params, jnp.asarray(world.features)[cell], aims)
        chunk = jnp.where(place == 0, fresh, chunk)
        vector = jax.lax.dynamic_index_in_dim(chunk, place, 1, keepdims=False)
        move = jnp.argmax(vector @ jnp.asarray(MOVES.T, jnp.float32), axis=1)
        slips = jax.random.uniform(slip_key, (count,)) < world.slip
        move = jnp.where(slips, last, move)
        goes_on = active(time, done)
        cell = jnp.where(goes_on, jnp.asarray(world.after)[cell, move], cell)
        done = done | (goes_on & (cell == goal))
        return time + 1, cell, move, done, chunk, cells.at[time].set(cell)

    def goes_on(carry: Any) -> jax.Array:
        return (carry[0] < num_steps) & active(carry[0], carry[3]).any()

    chunk = jnp.zeros((count, config.horizon, 2))
    cells = jnp.zeros((num_steps, count), start.dtype)
    carry = (jnp.int32(0), start, jnp.full(count, 3), start == goal, chunk, cells)
    time, cell, _, done, _, cells = jax.lax.while_loop(goes_on, step, carry)
    cells = jnp.where(jnp.arange(num_steps)[:, None] < time, cells, cell[None])
    success = done.reshape(-1, config.repeats).mean(1)
    return success, cells.T[:: config.repeats]
