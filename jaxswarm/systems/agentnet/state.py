"""State, info, ablations and constants of AgentNet.

Shapes: ``N`` agents, ``K`` types, ``P`` parts of a task, ``J`` neighbour slots.
"""

from typing import NamedTuple

import jax

from jaxswarm import checks
from jaxswarm.coordination.memory import Memory


class Choices(NamedTuple):
    """Ablations of AgentNet, ``bool[]`` each; all may be traced.

    Attributes:
        random_operation: execute, split or forward at random.
        random_next: forward to a random unvisited neighbour.
        router: one central router with every agent's capability chooses the agent of each part.
        routed: false: the agent at which a task enters executes it.
        executor_memory: retrieved fragments help to execute.
        shuffled: the fragments' embeddings are permuted, a control of retrieval.
    """

    random_operation: bool | jax.Array = False
    random_next: bool | jax.Array = False
    router: bool | jax.Array = False
    routed: bool | jax.Array = True
    executor_memory: bool | jax.Array = True
    shuffled: bool | jax.Array = False


class Evolution(NamedTuple):
    """Constants of routing and evolution; all may be traced.

    Attributes:
        edge_decay: ``α`` of the edges' average ``w ← α w + (1 − α) success``, in ``[0, 1]``.
        skill_decay: ``β`` of the capabilities' average, in ``[0, 1]``.
        threshold: edges at or below it are not used.
        margin: a part is forwarded if a neighbour's score is better by more than this.
        memory_gain: log-odds of success that a full set of fitting fragments adds.
        min_similarity: fragments up to this cosine similarity are not retrieved.
        memory_weight: weight of the router's memory in an agent's score.
        edge_weight: weight of the edge in the choice of the next agent.
    """

    edge_decay: float | jax.Array = 0.9
    skill_decay: float | jax.Array = 0.9
    threshold: float | jax.Array = 0.3
    margin: float | jax.Array = 0.05
    memory_gain: float | jax.Array = 1.2
    min_similarity: float | jax.Array = 0.7
    memory_weight: float | jax.Array = 0.2
    edge_weight: float | jax.Array = 0.05


class NetState(NamedTuple):
    """State of all agents between tasks.

    Attributes:
        capability: ``float32[N, K]``, each agent's learnt estimate of its own success by type.
        weight: ``float32[N, J]``, of the edges.
        idle: ``float32[N, K]``, tasks since an agent last succeeded in a type (``rule="code"``).
        router: memory of routing outcomes of each agent, leaves ``[N, ...]``.
        executor: memory of executed tasks of each agent, leaves ``[N, ...]``.
        now: ``float32[]``, tasks learnt from so far.
    """

    capability: jax.Array
    weight: jax.Array
    idle: jax.Array
    router: Memory
    executor: Memory
    now: jax.Array


class NetInfo(NamedTuple):
    """Metrics of one task.

    Attributes:
        success: ``float32[]``, 1 if all parts are right.
        hops: ``int32[]``, how often it was forwarded.
        agent: ``int32[P]``, the agent that executed the part; -1 where there is no part.
        kind: ``int32[P]``, the part's type; -1 where there is no part.
        edges: ``int32[]``, above the threshold.
    """

    success: jax.Array
    hops: jax.Array
    agent: jax.Array
    kind: jax.Array
    edges: jax.Array


def check_evolution(evolution: Evolution) -> None:
    """Refuse constants that are not finite, and decay factors outside ``[0, 1]``.

    Traced ones are not checked.

    Raises:
        ValueError: naming the constant.
    """
    checks.instance("evolution", evolution, Evolution, "Evolution()")
    for name, value in evolution._asdict().items():
        if name in ("edge_decay", "skill_decay"):
            checks.probability(name, value)
        else:
            checks.real(name, value)


def check_choices(choices: Choices) -> None:
    """Refuse what are no flags.

    Raises:
        ValueError: naming the choice.
    """
    checks.instance("choices", choices, Choices, "Choices()")
    for name, value in choices._asdict().items():
        checks.mask(name, value, ())
