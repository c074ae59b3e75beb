"""Settings and scales of the DADAO experiment, and the names of methods and graphs."""

from dataclasses import dataclass

POORLY_CONNECTED = ("star", "path")
"""Graphs on which the paper's comparison with synchronous methods is claimed."""

PRIMAL_METHODS = ("dadao", "adom+", "adom+ multi-consensus")
"""Methods that need gradients of the objectives only."""

DUAL_METHODS = ("msda", "continuized")
"""Methods that need gradients of the conjugate objectives: a linear solve each here."""

METHODS = (*PRIMAL_METHODS, *DUAL_METHODS)

LABELS = {
    "dadao": "DADAO",
    "adom+": "ADOM+",
    "adom+ multi-consensus": "ADOM+ multi-consensus",
    "msda": "MSDA (dual)",
    "continuized": "Continuized (dual)",
}
"""Names of the methods as they are printed."""


GRAPH_LABELS = {"geometric": "random geometric", "regular": "random regular"}
"""Names of graphs as they are printed, where they differ."""


def graph_label(name: str) -> str:
    """Name of a graph as it is printed."""
    return GRAPH_LABELS.get(name, name)


@dataclass(frozen=True)
class Config:
    """Settings; all methods share them and take their constants from their theorems."""

    star: int = 20  # number of agents of the star graph
    path: int = 12  # number of agents of the path graph
    complete: int = 16  # number of agents of the complete graph
    barbell: int = 6  # number of agents in each of the two cliques of the barbell graph
    grid: int = 4  # side of a square grid graph, in agents; 0 leaves the graph out
    geometric: int = 0  # number of agents of a random geometric graph; 0 leaves it out
    regular: int = 0  # number of agents of a random 4-regular graph; 0 leaves it out
    dimension: int = 5  # number of parameters of the regression
    samples: int = 50  # samples of each agent
    condition: float = 20.0  # condition number L/mu of the objectives, at least 1
    spread: float = 100.0
    """Standard deviation of the agents' own optima in the arms with spread optima (1 elsewhere)."""
    sweep: tuple[float, ...] = (5.0, 20.0, 80.0)
    """Condition numbers L/mu that DADAO is run with on the star; each four times the one before."""
    target: float = 1e-3
    """Squared distance to the optimum, mean over agents, at which costs are compared."""
    floor: float = 1e-11  # error at which runs of DADAO, MSDA and Continuized stop
    every: int = 50  # events between two records of an asynchronous method
    max_events: int = 2_000_000  # events of a run; one that is longer counts as not converged
    rate_iterations: int = 3000  # iterations of the search for optimal edge rates
    seed: int = 0  # base seed from which all random draws of all runs are derived
    seeds: int = 5  # number of independent runs of each arm, at least 2


SCALES = {
    "smoke": Config(
        star=8,
        path=6,
        complete=6,
        barbell=3,
        grid=3,
        condition=8.0,
        sweep=(4.0, 16.0),
        seeds=2,
        rate_iterations=300,
    ),
    "small": Config(),
    "full": Config(
        star=300,
        path=40,
        complete=300,
        barbell=20,
        grid=17,
        geometric=300,
        regular=1000,
        every=500,
        max_events=40_000_000,
        seeds=3,
    ),
}
