"""A simulated code world: tasks with latent difficulty, required skills and hidden tests.

Difficulty, tests and thresholds are hidden. A conductor observes noisy features of a task, and
verdicts. What the agents of a graph do is in ``_execution.py``.

Shapes: ``B`` tasks, ``K`` skills, ``T`` hidden tests, ``R`` roles, ``F = K + 1`` features.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks, coordination
from jaxswarm.systems.agent_conductor.graphs import ROLES
from jaxswarm.types import ArrayLike, Key

SKILLS = ("knowledge", "decomposition", "algorithms", "implementation", "verification")
IMPLEMENTATION = SKILLS.index("implementation")
DIFFICULTIES = ("easy", "medium", "hard")
NUM_FEATURES = len(SKILLS) + 1
VERDICTS = (
    "pass", "wrong answer", "time limit", "memory limit", "runtime error", "compile error",
    "not executed",
)  # fmt: skip
"""Verdicts in order of severity; the last is that of an invalid graph."""
PASS, NOT_EXECUTED = 0, len(VERDICTS) - 1
FAILURE_OF_SKILL = np.array([5, 3, 2, 4, 1], np.int32)
"""Verdict of a failed test of each skill: a lack of knowledge fails to compile, and so on."""

_FOCUS = np.eye(5, dtype=np.float32)[[0, 1, 2, 3, 3, 4]]
_EVIDENCE = np.array(
    [
        [0.60, 0.05, 0.10, 0.00, 0.00],  # retrieval
        [0.05, 0.60, 0.15, 0.00, 0.05],  # planning
        [0.10, 0.15, 0.60, 0.00, 0.05],  # algorithm
        [0.15, 0.15, 0.20, 0.70, 0.10],  # coding
        [0.00, 0.05, 0.10, 0.45, 0.35],  # debugging
        [0.00, 0.00, 0.05, 0.05, 0.60],  # testing
    ],
    np.float32,
)
_TOKENS = np.array([150.0, 200.0, 250.0, 400.0, 250.0, 200.0], np.float32)
_CLARITY = np.array([1.0, 0.97, 0.94], np.float32)


class CodeWorld(NamedTuple):
    """Constants of the world; all may be traced.

    Attributes:
        evidence: ``float32[R, K]`` in ``[0, 1]``, what a right reply of a role adds to each skill.
        focus: ``float32[R, K]``, the demand of a role's calls.
        clarity: ``float32[D]`` in ``[0, 1]``, factor on that demand for each difficulty.
        transmission: share of evidence that passes a reference, in ``[0, 1]``.
        distraction: share of clarity and transmission lost by each reference, in ``[0, 1]``.
        misleading: share lost besides by each reference to an agent whose reply was wrong.
        statement: tokens of the task's text, in every context.
        program: tokens of an earlier program.
    """

    evidence: ArrayLike = _EVIDENCE
    focus: ArrayLike = _FOCUS
    clarity: ArrayLike = _CLARITY
    transmission: ArrayLike = 0.97
    distraction: ArrayLike = 0.05
    misleading: ArrayLike = 0.1
    statement: ArrayLike = 300.0
    program: ArrayLike = 400.0


@dataclass(frozen=True)
class TaskMix:
    """A distribution of tasks; thresholds are ranges of the evidence that a test asks for.

    Attributes:
        shares: of easy, medium and hard tasks, at least 0.
        skills: relative frequencies of required skills besides implementation.
        required: number of these, for each difficulty, from 1 to 4.
        implementation: thresholds of tests of implementation, for each difficulty.
        others: thresholds of tests of other skills, for each difficulty.
        feature_noise: standard deviation of observed skills.
        difficulty_noise: standard deviation of the observed difficulty, easy being 0 and hard 1.
    """

    shares: tuple[float, float, float] = (1.0, 1.0, 1.0)
    skills: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    required: tuple[int, int, int] = (1, 2, 3)
    implementation: tuple[tuple[float, float], ...] = ((0.2, 0.6), (0.3, 0.65), (0.4, 0.68))
    others: tuple[tuple[float, float], ...] = ((0.02, 0.14), (0.2, 0.42), (0.3, 0.55))
    feature_noise: float = 0.1
    difficulty_noise: float = 0.18
    tests: int = field(default=6)

    def __post_init__(self) -> None:
        d = len(DIFFICULTIES)
        checks.real("shares", self.shares, 0.0, shape=(d,))
        if not sum(self.shares) > 0:
            raise ValueError(f"shares: expected something positive, got {self.shares}")
        checks.real("skills", self.skills, above=0.0, shape=(len(SKILLS) - 1,))
        checks.wholes("required", self.required, 1, len(SKILLS) - 1, shape=(d,))
        for name in ("implementation", "others"):
            checks.probability(name, getattr(self, name), shape=(d, 2))
            if any(low > high for low, high in getattr(self, name)):
                raise ValueError(f"{name}: expected (low, high) pairs, got {getattr(self, name)}")
        checks.real("feature_noise", self.feature_noise, 0.0)
        checks.real("difficulty_noise", self.difficulty_noise, 0.0)
        checks.whole("tests", self.tests, 2)


class CodeTasks(NamedTuple):
    """Tasks; a conductor may see ``features`` alone.

    Attributes:
        task: ``int32[B]``, id, which random numbers depend on.
        features: ``float32[B, F]``, noisy: the largest threshold of each skill, and the difficulty.
        difficulty: ``int32[B]``, hidden index into :data:`DIFFICULTIES`.
        skill: ``int32[B, T]``, the skill that a hidden test asks for.
        threshold: ``float32[B, T]`` in ``[0, 1]``, the evidence of that skill it asks for.
        truth: ``int32[B]``, the answer that makes a reply of an agent right; hidden.
    """

    task: jax.Array
    features: jax.Array
    difficulty: jax.Array
    skill: jax.Array
    threshold: jax.Array
    truth: jax.Array


NUM_ANSWERS = 8
"""Answers of the simulated agents; one is right."""


def sample_tasks(
    key: Key,
    count: int,
    mix: TaskMix = TaskMix(),
    *,
    first: ArrayLike = 0,
) -> CodeTasks:
    """Draw tasks.

    A third of the tests, rounded down and at least one, ask for implementation, the others for
    the task's required skills in turn.

    Args:
        key: consumed.
        count: ``B``.
        mix: their distribution.
        first: id of the first task; the others follow.

    Raises:
        ValueError: for arguments of another kind or out of range.

    Example:
        >>> import jax
        >>> from jaxswarm.systems import agent_conductor
        >>> tasks = agent_conductor.sample_tasks(jax.random.key(0), 4)
        >>> tasks.features.shape, tasks.threshold.shape
        ((4, 6), (4, 6))
    """
    checks.key(key)
    count = checks.whole("count", count, 1)
    checks.instance("mix", mix, TaskMix, "agent_conductor.TaskMix()")
    ids = jnp.arange(count) + jnp.asarray(checks.wholes("first", first, shape=()))
    return jax.vmap(lambda i: _draw(jax.random.fold_in(key, i), i, mix))(ids)


def _draw(key: Key, task: jax.Array, mix: TaskMix) -> CodeTasks:
    k, t = len(SKILLS), mix.tests
    numbers = jax.random.uniform(key, (2 * k + t + 2,), minval=1e-6, maxval=1.0 - 1e-6)
    pick, race, share, noise, answer = jnp.split(numbers, np.cumsum([1, k - 1, t, k + 1]))
    noise = jax.scipy.special.ndtri(noise)
    shares = np.asarray(mix.shares) / np.sum(mix.shares)
    difficulty = jnp.sum(pick > np.cumsum(shares)[:-1])
    others = jnp.array([i for i in range(k) if i != IMPLEMENTATION])
    order = np.log(mix.skills) - jnp.log(-jnp.log(race))  # Gumbel: without replacement
    ranked = others[jnp.argsort(-order)]
    needed = jnp.asarray(mix.required)[difficulty]
    own = max(t // 3, 1)
    index = jnp.arange(t)
    skill = jnp.where(index < own, IMPLEMENTATION, ranked[(index - own) % needed])
    ranges = jnp.where(
        (index < own)[:, None],
        jnp.asarray(mix.implementation)[difficulty][None],
        jnp.asarray(mix.others)[difficulty][None],
    )
    threshold = ranges[:, 0] + share * (ranges[:, 1] - ranges[:, 0])
    largest = jnp.zeros(k).at[skill].max(threshold)
    seen = largest + mix.feature_noise * noise[:k]
    level = difficulty / (len(DIFFICULTIES) - 1)
    level = level + mix.difficulty_noise * noise[k]
    return CodeTasks(
        task=task.astype(jnp.int32),
        features=jnp.append(seen, level),
        difficulty=difficulty.astype(jnp.int32),
        skill=skill.astype(jnp.int32),
        threshold=threshold,
        truth=jnp.floor(answer[0] * NUM_ANSWERS).astype(jnp.int32),
    )


def role_workers(reliability: ArrayLike = 0.93) -> coordination.Workers:
    """A stochastic worker for each role, which is right with a probability in its focus.

    Args:
        reliability: ``float[R]`` or a number in ``[0, 1]``.

    Raises:
        ValueError: for numbers out of range or another shape.
    """
    checks.probability("reliability", checks.concrete("reliability", reliability), shape=None)
    given = np.asarray(reliability, np.float32)
    if given.shape not in ((), (len(ROLES),)):
        raise ValueError(f"reliability: expected a number or [{len(ROLES)}], got {given.shape}")
    return coordination.workers(
        np.broadcast_to(given, (len(ROLES),))[:, None] * _FOCUS, tokens=_TOKENS
    )


def check_world(world: CodeWorld) -> None:
    """Refuse constants out of their range; traced ones are not checked.

    Raises:
        ValueError: naming the constant.
    """
    checks.instance("world", world, CodeWorld, "agent_conductor.CodeWorld()")
    r, k = len(ROLES), len(SKILLS)
    checks.probability("evidence", world.evidence, shape=(r, k))
    checks.real("focus", world.focus, 0.0, shape=(r, k))
    checks.probability("clarity", world.clarity, shape=(len(DIFFICULTIES),))
    for name in ("transmission", "distraction", "misleading"):
        checks.probability(name, getattr(world, name))
    for name in ("statement", "program"):
        checks.real(name, getattr(world, name), 0.0)


def check_tasks(tasks: CodeTasks) -> CodeTasks:
    """Refuse tasks of another kind, shape or range; traced ones are only checked for shape.

    Raises:
        ValueError: naming the leaf.
    """
    checks.instance("tasks", tasks, CodeTasks, "agent_conductor.sample_tasks(key, 8)")
    (count,) = np.shape(checks.wholes("task", tasks.task, shape=(None,)))
    checks.real("features", tasks.features, shape=(count, None))
    checks.wholes("difficulty", tasks.difficulty, 0, len(DIFFICULTIES) - 1, shape=(count,))
    skill = checks.wholes("skill", tasks.skill, 0, len(SKILLS) - 1, shape=(count, None))
    checks.real("threshold", tasks.threshold, shape=np.shape(skill))
    checks.wholes("truth", tasks.truth, shape=(count,))
    return tasks
