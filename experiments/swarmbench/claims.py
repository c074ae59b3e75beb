"""What the SwarmBench experiment concludes, against thresholds fixed before the first run.

Shapes: ``S`` seeds, ``L`` trained networks.
"""

import numpy as np

from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from experiments.swarmbench import NAME
from experiments.swarmbench.config import (
    MESSAGES,
    MOTION,
    SAME_SIGHT,
    Condition,
    Config,
    conditions,
)
from jaxswarm import statistics
from jaxswarm.envs import swarmbench

VIEW_RATIO = 1.3  # score with the widest view over that with the narrowest, at least
MESSAGE_RATIO = 1.5  # score in synchronization with messages over that without, at least
COUNTING = 0.9  # points per round of agents that count rounds, at least (control)
WON = 2.0  # tasks in which training beats the script, at least (full scale)
MORE = 0.0  # one score (or R²) minus the score (or R²) it is compared with, at least
NOTHING = (
    0.0  # score of random moves in transport, and cells that four agents push the box, at most
)
ONE_CELL = 1.0  # cells that five agents push the box, at least

SCORE = "score of an episode"
LOCAL = (
    "Agents rely on local sensory input (k × k view) and local communication; local information "
    "constraints make the tasks difficult (Ruan et al. 2025, abstract)."
)


def claims(config: Config, results: Results) -> list[Claim]:
    """Effect of the view and of messages, pushing, scores of policies, and what explains them."""
    made = ClaimList(NAME)
    tasks = results["tasks"]
    add_view(made, config, tasks)
    add_messages(made, config, tasks["synchronization"], results["counting"])
    add_transport(made, tasks["transport"], results["box"])
    for task in swarmbench.TASKS:
        found = tasks[task]
        made.add(
            f"In {task}, the scripted policy scores higher than random moves",
            statement="Control: the scripted policy plays the task.",
            measured="score of the scripted policy with the widest view and messages - score of "
            "random moves",
            metric=SCORE,
            unit="points",
            arm="scripted policy",
            baseline="random moves",
            value=statistics.compare(
                scripted_scores(config, found, max(config.sights)), random_scores(found)
            ),
            at_least=MORE,
            judge="interval",
            control=True,
        )
    for task in config.learned:
        add_learned(made, config, task, tasks[task])
    if set(config.learned) == set(swarmbench.TASKS):
        add_tasks_won(made, config, tasks)
    made.add(
        "Over the five tasks, how the swarm moves explains more of the variance of the score than "
        "the amount of its messages",
        statement="The paper analyzes which group dynamics emerge (Ruan et al. 2025, abstract). "
        "Own check: movement explains the score better than messages do.",
        measured="adjusted R² of the score regressed on seven measures of movement - on the number "
        "and length of messages, over all episodes of a task",
        metric="adjusted R² of the score",
        unit="R²",
        arm="measures of movement",
        baseline="amount of messages",
        value=statistics.summarize(
            explained_variance(tasks, MOTION) - explained_variance(tasks, MESSAGES)
        ),
        at_least=MORE,
        judge="interval",
        note="the five tasks are the sample; the content of messages is not considered",
    )
    return made


def add_view(made: ClaimList, config: Config, tasks: Results) -> None:
    """Widest against narrowest view, where agents have to find something."""
    near, far = (2 * sight + 1 for sight in (min(config.sights), max(config.sights)))
    for task in ("pursuit", "foraging"):
        wide = scripted_scores(config, tasks[task], max(config.sights))
        narrow = scripted_scores(config, tasks[task], min(config.sights))
        made.add(
            f"In {task}, the scripted policy scores at least {VIEW_RATIO} times as much with a "
            f"view of {far} × {far} cells as with {near} × {near}",
            statement=LOCAL,
            measured=f"score with k = {far} - {VIEW_RATIO} × score with k = {near}, with messages",
            metric=SCORE,
            unit="points",
            arm=f"scripted policy, view of {far} × {far} cells",
            baseline=f"{VIEW_RATIO} × scripted policy, view of {near} × {near} cells",
            value=statistics.compare(wide, VIEW_RATIO * narrow),
            at_least=MORE,
            judge="interval",
        )


def add_messages(
    made: ClaimList, config: Config, synchronization: Results, counting: np.ndarray
) -> None:
    """Synchronization with and without messages, and by counting rounds."""
    delivered, lost = (
        scripted_scores(config, synchronization, SAME_SIGHT, messages=messages)
        for messages in (True, False)
    )
    made.add(
        "In synchronization, the scripted policy, which has no memory, scores at least "
        f"{MESSAGE_RATIO} times as much with messages as without",
        statement=LOCAL,
        measured=f"score with messages - {MESSAGE_RATIO} × score without messages",
        metric=SCORE,
        unit="points",
        arm="scripted policy without memory, messages delivered",
        baseline=f"{MESSAGE_RATIO} × scripted policy without memory, messages lost",
        value=statistics.compare(delivered, MESSAGE_RATIO * lost),
        at_least=MORE,
        judge="interval",
    )
    made.add(
        f"In synchronization, agents that count rounds score at least {COUNTING} points per round "
        "without observing other agents, messages or the round number",
        statement="Control: the task needs no communication, because all agents start in the same "
        "round.",
        measured="score of agents that count rounds / number of rounds",
        metric=SCORE,
        unit="points per round",
        arm="agents that count rounds",
        baseline="one point per round (the largest possible score)",
        value=statistics.summarize(counting),
        at_least=COUNTING,
        control=True,
    )


def add_transport(made: ClaimList, transport: Results, box: np.ndarray) -> None:
    """The box cannot be moved by chance or by four agents."""
    made.add(
        "In transport, random moves score nothing",
        statement="Own check: the task cannot be solved by chance.",
        measured="score of random moves",
        metric=SCORE,
        unit="points",
        arm="random moves",
        value=statistics.summarize(random_scores(transport)),
        at_most=NOTHING,
    )
    pushing = "Own check: the box needs five agents that push it at once."
    made.add(
        "In transport, up to four agents behind the box do not move it",
        statement=pushing,
        measured="largest displacement of the box over 1 to 4 pushing agents, in one round",
        metric="displacement of the box",
        unit="cells",
        arm="1 to 4 pushing agents",
        value=float(box[:4].max()),
        at_most=NOTHING,
    )
    made.add(
        "In transport, five agents behind the box move it",
        statement=pushing,
        measured="displacement of the box with 5 pushing agents, in one round",
        metric="displacement of the box",
        unit="cells",
        arm="5 pushing agents",
        value=float(box[4]),
        at_least=ONE_CELL,
    )


def add_learned(made: ClaimList, config: Config, task: str, found: Results) -> None:
    """Trained networks against random moves and the scripted policy with the same view."""
    learned = found["learned"]
    scripted = scripted_scores(config, found, SAME_SIGHT)
    for baseline, scores in (
        ("random moves", random_scores(found)),
        ("the scripted policy with the same view", scripted),
    ):
        made.add(
            f"In {task}, the trained network scores higher than {baseline}",
            statement="Own check: the task can be learned from local views and messages.",
            measured=f"score of the trained network - mean score of {baseline}",
            metric=SCORE,
            unit="points",
            arm="recurrent network, trained by PPO with a potential-based dense reward",
            baseline=baseline,
            value=statistics.compare(learned, np.full_like(learned, scores.mean())),
            at_least=MORE,
            judge="interval",
            note="the baseline is the mean over all its episodes",
        )


def add_tasks_won(made: ClaimList, config: Config, tasks: Results) -> None:
    """Number of tasks in which training wins; counted where all five are learned."""
    lower = [
        statistics.summarize(
            tasks[task]["learned"] - scripted_scores(config, tasks[task], SAME_SIGHT).mean()
        ).interval[0]
        for task in config.learned
    ]
    made.add(
        f"In at least {WON:g} of the five tasks, the trained network scores higher than the "
        "scripted policy with the same view",
        statement="Own check: training beats a script that was written by hand.",
        measured="number of tasks in which the lower bound of the difference is above 0",
        metric="tasks won",
        unit="tasks",
        arm="recurrent network, trained by PPO with a potential-based dense reward",
        baseline="scripted policy with the same view",
        value=float(sum(bound > 0.0 for bound in lower)),
        at_least=WON,
        note="counts the single comparisons above",
    )


def scripted_scores(
    config: Config, found: Results, sight: int, *, messages: bool = True
) -> np.ndarray:
    """Scores of the scripted policy under one condition, ``[S]``."""
    return found["scores"][conditions(config).index(Condition(sight, messages, False))]


def random_scores(found: Results) -> np.ndarray:
    """Scores of random moves, ``[S]``."""
    return found["scores"][-1]


def explained_variance(tasks: Results, names: tuple[str, ...]) -> np.ndarray:
    """Adjusted R² of the scores of all episodes of a task by some measures, ``[tasks]``."""
    shares = []
    for task in swarmbench.TASKS:
        score = tasks[task]["scores"].ravel()
        x = np.stack([tasks[task]["measures"][name].ravel() for name in names], axis=1)
        x = x[:, x.std(axis=0) > 1e-9]
        if score.std() < 1e-9 or not x.shape[1]:
            shares.append(0.0)
            continue
        design = np.column_stack([np.ones(len(score)), (x - x.mean(0)) / x.std(0)])
        residual = score - design @ np.linalg.lstsq(design, score, rcond=None)[0]
        share = 1 - residual.var() / score.var()
        shares.append(1 - (1 - share) * (len(score) - 1) / (len(score) - x.shape[1] - 1))
    return np.array(shares)
