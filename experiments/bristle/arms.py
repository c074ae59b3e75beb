"""Run Bristle and its baselines under every attack, on non-IID and on IID data."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.bristle.attackers import graph_and_attackers
from experiments.bristle.config import CONDITIONS, Config
from experiments.bristle.frozen_body import pretrain_bodies
from experiments.bristle.learners import build_learner
from experiments.bristle.private_data import AgentData, build_agent_data
from experiments.harness.protocol import Results
from jaxswarm import rollout, sweep


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Measure the accuracy of every arm under every attack.

    Returns:
        ``accuracy[partition][arm][condition]``: ``[seeds, evaluations]``, the mean over honest
        agents on the global test set; ``message_bytes[arm]``; ``network_bytes``; and
        ``num_byzantine``.
    """
    graph, flags = graph_and_attackers(config)
    byzantine, honest = jnp.asarray(flags), np.flatnonzero(~flags)
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    progress("frozen bodies")
    bodies = pretrain_bodies(config)

    @functools.cache  # one program per arm, for both partitions if their shapes agree
    def compiled(arm: str, count: int) -> Callable[..., Any]:
        def run_seed(condition: jax.Array, seed: tuple[AgentData, jax.Array]) -> Any:
            agent_data, key = seed
            learner = build_learner(
                config, arm, graph, agent_data, bodies.network, byzantine, condition, count
            )
            state, records = rollout(
                learner.algorithm.step,
                learner.algorithm.init(learner.params),
                config.rounds,
                key=key,
                inputs=learner.inputs,
                every=config.every,
                evaluate=lambda s: jnp.mean(learner.accuracy(s)[honest]),
            )
            sent = state.traffic.total
            return records.evaluation, sent.bytes / sent.messages

        def run_conditions(conditions: jax.Array, agent_data: AgentData, keys: jax.Array) -> Any:
            def run_seeds(condition: jax.Array) -> Any:
                return sweep(functools.partial(run_seed, condition), (agent_data, keys))

            # One condition after the other: side by side, each would compute every attack.
            return jax.lax.map(run_seeds, conditions)

        return jax.jit(run_conditions)

    results: Results = {
        "num_byzantine": int(flags.sum()),
        "network_bytes": bodies.network_bytes,
        "accuracy": {"non-iid": {}, "iid": {}},
        "message_bytes": {},
    }
    for partition, arms in plan(config).items():
        agent_data = build_agent_data(config, partition == "iid", bodies)
        for arm, count in arms.items():
            progress(f"{partition}: {arm}")
            scores, message_bytes = compiled(arm, count)(jnp.arange(count), agent_data, keys)
            results["accuracy"][partition][arm] = dict(
                zip(CONDITIONS, np.asarray(scores), strict=False)
            )
            results["message_bytes"][arm] = float(message_bytes[0, 0])
    return results


def plan(config: Config) -> dict[str, dict[str, int]]:
    """List the arms of each partition, with the number of conditions that each is run under."""
    every, first_two = config.conditions, min(config.conditions, 2)
    with_body = ["bristle", *(f"transfer {name}" for name in config.baselines)]
    variants = [f"bristle {name}" for name in config.selections]
    without_body = [f"scratch {name}" for name in config.scratch]
    iid = ["bristle", *(f"transfer {name}" for name in config.iid_baselines)]
    return {
        "non-iid": dict.fromkeys(with_body + variants, every)
        | dict.fromkeys(without_body, first_two),
        "iid": dict.fromkeys(iid, first_two),
    }
