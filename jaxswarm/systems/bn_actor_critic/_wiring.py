"""Which graph a team uses: given, learnt or random; as numbers, so that one program sweeps them.

Shapes: ``N`` agents; ``[j, i]`` is from ``j`` to ``i``.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import errors
from jaxswarm.systems.bn_actor_critic import graphs
from jaxswarm.systems.bn_actor_critic.sampling import check_temperature

PyTree = Any
FIXED = {"independent": graphs.independent, "line": graphs.line, "full": graphs.full}
KINDS = (*FIXED, "learnt", "random")


class Wiring(NamedTuple):
    """Which graph a team uses; numbers, all traced. Build it with :func:`wiring`.

    Attributes:
        fixed: 1 if the graph is given, 0 if it is drawn.
        learnt: 1 if logits are the networks', 0 for the same law in every state.
        edges: ``[N, N]``, the given graph.
        permutation: ``[N, N]``, its order.
        heard: ``[N, N]``, 1 at ``[j, i]`` where ``i`` receives what ``j`` sends.
        chance: of an edge that agrees with the order, where the law is not learnt.
        temperature: of the relaxations.
        alpha: weight of ``|density − threshold|`` in the loss.
        threshold: the density asked for, in ``[0, 1]``.
    """

    fixed: Any
    learnt: Any
    edges: Any
    permutation: Any
    heard: Any
    chance: Any = 0.5
    temperature: Any = 1.0
    alpha: Any = 0.0
    threshold: Any = 0.0


def wiring(
    graph: str | np.ndarray,
    num_agents: int,
    *,
    communicates: np.ndarray | None = None,
    chance: float = 0.5,
    temperature: float = 1.0,
    alpha: float = 0.0,
    threshold: float = 0.0,
) -> Wiring:
    """A graph's numbers.

    Args:
        graph: ``"independent"``, ``"line"`` or ``"full"``; ``"learnt"``: drawn from the networks'
            logits; ``"random"``: drawn from uniform orders and edges of equal chance; or the graph
            itself, ``[N, N]``.
        num_agents: ``N``.
        communicates: ``bool[N, N]``, ``[j, i]`` true where ``i`` receives what ``j`` sends. Drawn
            graphs lose their other edges; a given graph with others is refused. Anybody by default.
        chance: in ``[0, 1]``, of the edges of a random graph.
        temperature: of the relaxations of a drawn graph.
        alpha: weight of the density's distance from ``threshold`` in the loss.
        threshold: in ``[0, 1]``.

    Raises:
        ValueError: for an unknown name, a cycle, another number of agents, edges along which nobody
            hears, or a number out of range.
    """
    for name, given in (("chance", chance), ("threshold", threshold)):
        if not 0.0 <= given <= 1.0:
            raise ValueError(f"{name}: expected within [0, 1], got {given}")
    if not 0.0 <= alpha < np.inf:
        raise ValueError(f"alpha: expected at least 0, got {alpha}")
    check_temperature(temperature)
    shape = (num_agents, num_agents)
    heard = np.ones(shape, bool) if communicates is None else np.asarray(communicates, bool)
    if heard.shape != shape:
        raise ValueError(f"communicates: expected shape {shape}, got {heard.shape}")
    if isinstance(graph, str) and graph not in KINDS:
        raise errors.unknown("graph", graph, KINDS)
    drawn = isinstance(graph, str) and graph not in FIXED
    dag = np.zeros(shape, bool)
    if isinstance(graph, str) and not drawn:
        dag = FIXED[graph](num_agents)
    elif not isinstance(graph, str):
        dag = np.asarray(graph)
        if dag.shape != shape:
            raise ValueError(f"graph: expected shape {shape}, got {dag.shape}")
    dag = graphs.check_dag(dag, heard)
    found = Wiring(
        fixed=not drawn,
        learnt=isinstance(graph, str) and graph == "learnt",
        edges=dag,
        permutation=graphs.permutation(graphs.order(dag)),
        heard=heard,
        chance=chance,
        temperature=temperature,
        alpha=alpha,
        threshold=threshold,
    )
    return jax.tree.map(jnp.float32, found)


def with_wiring(params: PyTree, given: Wiring) -> PyTree:
    """The same parameters, or one learner's, with another graph."""
    held = jax.tree.map(jnp.float32, given)
    return {**params, "actor": {**params["actor"], "wiring": held}}
