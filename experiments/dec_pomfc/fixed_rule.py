"""Bias of the mean return of finite swarms under a fixed decision rule (propagation of chaos)."""

import jax
import numpy as np

from experiments.dec_pomfc.config import Config
from experiments.harness.compile import jit_fast_compile
from experiments.harness.protocol import Results
from jaxswarm import collective

GAIN = 1.5  # action per unit of the observed sine of the mean phase difference
DEVIATION = 0.1  # standard deviation of the rule's actions
CELLS = 1024  # cells of the density's grid


def fixed_rule_bias(key: jax.Array, config: Config) -> Results:
    """Compare finite swarms on the Kuramoto task with the limit of infinitely many agents.

    The limit's density is pushed forward in time; nothing is sampled there.

    Returns:
        ``bias [sizes, seeds]``, mean return of finite swarms minus the limit's, and ``limit``, the
        return of the limit.
    """
    physics = collective.HeadingTaskParams(width=config.width)

    def build_task(n: int) -> collective.SwarmTask:
        return collective.kuramoto_task(n, params=physics, radius=config.chaos_radius)

    rule = collective.kernel_rule(build_task(1), points=config.points)
    numbers = rule.params_of(lambda y: GAIN * y[1:], DEVIATION)
    limit = jit_fast_compile(
        lambda: collective.kuramoto_limit(rule, numbers, config.steps, physics, cells=CELLS).returns
    )()
    returns = collective.convergence(
        key,
        build_task,
        rule,
        numbers,
        config.sizes,
        config.seeds * config.chaos_swarms,
        num_steps=config.steps,
        jit=jit_fast_compile,
    )
    means = {
        n: np.asarray(of_size).reshape(config.seeds, -1).mean(axis=1)
        for n, of_size in returns.items()
    }
    bias = np.stack([means[n] - float(limit) for n in config.sizes])
    return {"bias": bias, "limit": float(limit)}
