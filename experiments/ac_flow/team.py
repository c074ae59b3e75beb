"""Agents that fine-tune one flow towards modes of their own and gossip its parameters.

Shapes: ``N`` agents, ``S`` seeds, ``K`` modes.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from experiments.ac_flow import mixture
from experiments.ac_flow.comparison import flow_model
from experiments.ac_flow.config import Config
from experiments.ac_flow.methods import build
from experiments.harness.compile import jit_fast_compile
from jaxswarm import agents, generative, gossip, rollout, sweep, topology
from jaxswarm.models import flow
from jaxswarm.types import ArrayLike, Params

GRAPHS = ("isolated", "ring", "complete")
Cell = tuple[ArrayLike, ArrayLike]
"""A temperature and a penalty."""


def graphs(num_agents: int) -> list[topology.Topology]:
    """The graphs of :data:`GRAPHS`."""
    alone = topology.from_edges(np.zeros((0, 2), int), num_agents, name="isolated")
    return [alone, topology.ring(num_agents), topology.complete(num_agents)]


def compile_teams(
    config: Config, pretrained: Params, key: jax.Array
) -> Callable[[tuple[float, float]], dict[str, np.ndarray]]:
    """Compile fine-tuning by AC-Flow on every graph; agent ``i`` is rewarded for mode ``i`` only.

    Args:
        config: sizes.
        pretrained: flows, leaves ``[S', ...]``; a team starts from one of them.
        key: of all runs.

    Returns:
        ``run(cell)``, of a temperature and a penalty. Its results have leaves ``[3, S, ...]``, by
        graph: ``own_reward``, mean over agents of the reward that each is fine-tuned for;
        ``own_entropy``, mean over agents of the mode entropy of one agent's flow;
        ``team_entropy``, of all agents' samples together; ``team_reward``, mean over agents of the
        reward of all agents' preferences together (1 near any of the agents' modes);
        ``disagreement``, distance of the parameters from their mean; ``bytes`` sent.
    """
    model, n = flow_model(config), config.team
    preferences = jnp.eye(n, mixture.NUM_MODES)

    def reward(x: jax.Array, preference: jax.Array) -> jax.Array:
        return mixture.mode_reward(x, preference)

    stacked = topology.stack(graphs(n))
    operators = gossip.mixing(stacked, layout="dense", connected=False)
    requests = generative.Request(context=preferences)

    def run_team(
        cell: Cell, W: gossip.Mixing, seed: tuple[jax.Array, Params]
    ) -> dict[str, jax.Array]:
        key, params = seed
        init_key, run_key, audit_key = jax.random.split(key, 3)
        one = build(
            config, "ac_flow", model, reward, *cell, clip=config.clip, steps=config.team_steps
        )
        learner = generative.decentralized(one, gossip.averaging(W))
        state = learner.init(agents.broadcast(params, n), init_key, requests)
        state, _ = rollout(
            learner.step, state, config.team_steps, key=run_key, inputs=requests,
            every=config.team_steps,
        )  # fmt: skip

        def measure(
            params: Params, key: jax.Array, preference: jax.Array
        ) -> tuple[jax.Array, jax.Array, jax.Array]:
            x = flow.sample(
                key, flow.field(model, params), config.audit, (2,), num_steps=2 * config.ode_steps
            )
            own = jnp.mean(mixture.mode_reward(x, preference))
            every = jnp.mean(mixture.mode_reward(x, preferences.sum(0)))
            return own, every, mixture.mode_shares(x)

        own, every, shares = jax.vmap(measure)(state.params, agents.keys(audit_key, n), preferences)
        return {
            "own_reward": jnp.mean(own),
            "team_reward": jnp.mean(every),
            "own_entropy": jnp.mean(mixture.entropy(shares)),
            "team_entropy": mixture.entropy(jnp.mean(shares, axis=0)),
            "disagreement": jnp.mean(agents.disagreement(state.params)),
            "bytes": state.traffic.total.bytes,
        }

    keys = jax.random.split(key, config.team_seeds)
    first = config.tuning_seeds
    starts = jax.tree.map(lambda leaf: leaf[first : first + config.team_seeds], pretrained)

    def run_all(cell: Cell) -> dict[str, jax.Array]:
        return sweep(functools.partial(run_team, cell), operators, (keys, starts))

    program = jit_fast_compile(run_all).lower((0.0, 0.0)).compile()
    return lambda cell: jax.tree.map(np.asarray, program(cell))
