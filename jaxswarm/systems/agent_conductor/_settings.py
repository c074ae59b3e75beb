"""Rewards and switches of the conductor, with their checks."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.systems.agent_conductor.density import reward_range
from jaxswarm.systems.agent_conductor.world import DIFFICULTIES
from jaxswarm.types import ArrayLike


class Rewards(NamedTuple):
    """Rewards of the outcomes; those of failures and format errors are published, the rest ours.

    Attributes:
        passed: of a program that passes all tests.
        wrong_answer: of one that fails so.
        time_limit: of one that fails so.
        memory_limit: of one that fails so.
        runtime_error: of one that fails so.
        compile_error: of one that fails so.
        none_found: of a text without a graph.
        parse: of one that cannot be parsed.
        schema: of one outside the schema.
        logic: of a graph that cannot be executed.
        graph: weight of the graph reward, which is 1 for one agent.
    """

    passed: ArrayLike = 2.0
    wrong_answer: ArrayLike = 1.0
    time_limit: ArrayLike = 0.9
    memory_limit: ArrayLike = 0.8
    runtime_error: ArrayLike = 0.7
    compile_error: ArrayLike = 0.6
    none_found: ArrayLike = -2.0
    parse: ArrayLike = -1.5
    schema: ArrayLike = -1.0
    logic: ArrayLike = -0.5
    graph: ArrayLike = 0.8

    def by_verdict(self) -> jax.Array:
        """Rewards ``float32[7]`` in the order of ``VERDICTS``; 0 where nothing was executed."""
        return jnp.stack([jnp.asarray(x, jnp.float32) for x in (*self[:6], 0.0)])

    def by_format(self) -> jax.Array:
        """Rewards ``float32[5]`` in the order of ``FORMAT_ERRORS``; 0 for a valid graph."""
        return jnp.stack([jnp.asarray(x, jnp.float32) for x in (0.0, *self[6:10])])


class Options(NamedTuple):
    """Switches of the method, ``bool[]`` or ``float[]``; all may be traced.

    Attributes:
        execution: weight of the reward of the outcome; 0 for the graph reward alone.
        density: factor on the weight of the graph reward; 0 for none.
        second_turn: whether a failed task gets a second graph.
        verdict: whether the second turn observes the verdict and the size of the first graph.
        masked: whether decoding is masked, so that every graph is valid.
        adaptive: whether the largest number of agents follows the difficulty; else it is that of
            the hardest.
        true_difficulty: whether the difficulty is given instead of inferred (an ablation: it is
            hidden).
    """

    execution: ArrayLike = 1.0
    density: ArrayLike = 1.0
    second_turn: ArrayLike = True
    verdict: ArrayLike = True
    masked: ArrayLike = False
    adaptive: ArrayLike = True
    true_difficulty: ArrayLike = False


def check_rewards(rewards: Rewards, bands: tuple[int, ...]) -> None:
    """Refuse rewards under which a sparser graph can be worth more than a program that passes.

    Raises:
        ValueError: naming the reward: not a finite number, a graph weight below 0, or
            ``passed − wrong_answer`` of at most the range of the graph reward.
    """
    checks.instance("rewards", rewards, Rewards, "agent_conductor.Rewards()")
    for name, value in rewards._asdict().items():
        checks.real(f"rewards.{name}", value, 0.0 if name == "graph" else -jnp.inf)
    if any(checks.is_traced(x) for x in (rewards.passed, rewards.wrong_answer, rewards.graph)):
        return
    spread = max(high - low for low, high in map(reward_range, bands))
    spread *= float(rewards.graph)  # pyright: ignore
    gap = float(rewards.passed) - float(rewards.wrong_answer)  # pyright: ignore
    if gap <= spread:
        raise ValueError(
            f"rewards.passed: expected passed - wrong_answer above the range {spread:.3f} of the "
            f"graph reward, else the sparsest valid graph is optimal, got {gap:.3f}"
        )


def check_bands(max_nodes: tuple[int, ...], slots: int) -> tuple[int, ...]:
    """Return the largest numbers of agents, one for each difficulty, as whole numbers.

    Raises:
        ValueError: for another number of bands, sizes below 1, above ``slots``, or that fall.
    """
    bands = tuple(
        int(x) for x in checks.wholes("max_nodes", max_nodes, 1, slots, shape=(len(DIFFICULTIES),))
    )
    if list(bands) != sorted(bands):
        raise ValueError(f"max_nodes: expected sizes that do not fall, got {bands}")
    return bands


def check_options(options: Options) -> Options:
    """Return the switches as arrays.

    Raises:
        ValueError: naming the switch that is neither a flag nor a weight.
    """
    checks.instance("options", options, Options, "agent_conductor.Options()")
    for name in ("execution", "density"):
        checks.real(name, getattr(options, name), 0.0)
    flags = {
        name: jnp.asarray(checks.mask(name, value, ()))
        for name, value in options._asdict().items()
        if name not in ("execution", "density")
    }
    return options._replace(**flags)
