"""Play all tasks with random and scripted policies, and train networks on some of them."""

from collections.abc import Callable

import jax
import numpy as np

from experiments.harness.protocol import Results
from experiments.swarmbench.config import Config
from experiments.swarmbench.episodes import push_box, score_conditions, score_counting
from experiments.swarmbench.learners import train_and_score
from jaxswarm import agents
from jaxswarm.envs import swarmbench


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Score policies on whole episodes.

    Returns:
        ``tasks``: ``{task: found}`` with ``scores [conditions, seeds]``, ``measures``
        (``{name: [conditions, seeds]}``) and, where a network is trained, ``learned [learners]``,
        ``curve [learners, looks]`` and ``reward [learners, iterations]``; ``counting [seeds]``,
        points per round; and ``box [6]``, cells moved by 1 to 6 agents.
    """
    keys = agents.keys(jax.random.key(config.seed), config.seeds)
    tasks = {}
    for task in swarmbench.TASKS:
        progress(f"{task}: random and scripted policies")
        tasks[task] = score_conditions(config, task, keys)
    progress("synchronization: counting rounds")
    counting = score_counting(config, keys)
    box = push_box(config)
    for task in config.learned:
        progress(f"{task}: training")
        tasks[task] |= train_and_score(config, task)
    return jax.tree.map(np.asarray, {"tasks": tasks, "counting": counting, "box": box})
