"""One learner for each of many agents of equal architecture, side by side.

Shapes: ``N`` agents.
"""

import jax

from jaxswarm import agents, checks
from jaxswarm._optimizers import independent_keys
from jaxswarm.algorithm import Algorithm
from jaxswarm.types import Key, Params, PyTree


def independent(algorithm: Algorithm, *, sequential: bool = False) -> Algorithm:
    """Run the learner of one agent for ``N`` agents, each with its own stream and data.

    ``init(params, …)`` for stacked parameters and, of a learner that takes them, stacked responses,
    leaves ``[N, ...]``; ``step(key, state, inputs)`` with
    inputs whose leaves lead with ``N``; agent ``i`` draws from ``fold_in(key, i)``.

    Args:
        algorithm: of one agent, such as :func:`sft` or :func:`grpo`.
        sequential: run the steps of the agents one after another (``lax.map``) instead of side by
            side (``vmap``). The results are the same up to rounding. Measured on a CPU, a round of
            eight small models takes a quarter fewer CPU seconds (``benchmarks/README.md``); devices
            that run the agents' products in parallel need them side by side.

    Raises:
        ValueError: for what is no algorithm.
    """
    checks.instance("algorithm", algorithm, Algorithm, "language.grpo(…)")
    sequential = checks.flag("sequential", sequential)

    def init(params: Params, *inputs: PyTree) -> PyTree:
        agents.check_leading_axis(inputs, agents.num_agents(params), "inputs")
        state = jax.vmap(algorithm.init)(params, *inputs)
        return independent_keys(state, jax.numpy.arange(agents.num_agents(params)))

    def step(key: Key, state: PyTree, inputs: PyTree) -> tuple[PyTree, PyTree]:
        n = agents.num_agents(state)
        agents.check_leading_axis(inputs, n, "inputs")
        given = (agents.keys(key, n), state, inputs)
        if sequential:
            return jax.lax.map(lambda each: algorithm.step(*each), given)
        return jax.vmap(algorithm.step)(*given)

    return Algorithm(init, step)
