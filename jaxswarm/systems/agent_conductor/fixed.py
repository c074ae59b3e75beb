"""Fixed role graphs: a single coder, a chain, a full layered mesh, and stars of specialists."""

from collections.abc import Sequence

from jaxswarm import checks
from jaxswarm.systems.agent_conductor.graphs import ROLES, RoleGraph, role_graph

MESH_LAYERS = (
    ("retrieval", "planning"),
    ("algorithm", "algorithm"),
    ("coding", "coding"),
    ("debugging", "testing"),
    ("testing", "coding"),
)


def single_coder(slots: int = 10) -> RoleGraph:
    """One coding agent.

    Raises:
        ValueError: if there is no slot.
    """
    return role_graph([[("coding", [])]], slots=slots)


def chain(slots: int = 10) -> RoleGraph:
    """Planning, algorithm, coding and testing agents, each reading the one before.

    Raises:
        ValueError: for fewer than four slots.
    """
    names = ("planning", "algorithm", "coding", "testing")
    steps = [[(name, [i - 1] if i else [])] for i, name in enumerate(names)]
    return role_graph(steps, slots=slots)


def full_mesh(layers: Sequence[Sequence[str]] = MESH_LAYERS, slots: int = 10) -> RoleGraph:
    """Layers of agents in which every agent reads all agents of all earlier layers.

    The terminal agent closes the graph in a layer of its own, so that it reads all others.

    Args:
        layers: roles of each layer; the last agent of all must code or test.
        slots: ``N``.

    Raises:
        ValueError: for unknown roles, too many agents, or another terminal agent.
    """
    if isinstance(layers, str) or not isinstance(layers, Sequence):
        raise ValueError(f"layers: expected lists of roles, got {checks.shown(layers)}")
    rows = [list(layer) for layer in layers]
    if rows and len(rows[-1]) > 1:
        rows = [*rows[:-1], rows[-1][:-1], rows[-1][-1:]]
    steps, count = [], 0
    for row in rows:
        for name in row:
            checks.choice("role of layers", name, ROLES)
        steps.append([(name, list(range(count))) for name in row])
        count += len(row)
    return role_graph(steps, slots=slots)


def star(specialists: Sequence[str], terminal: str = "coding", slots: int = 10) -> RoleGraph:
    """Specialists in one layer, a coding agent that reads all of them, perhaps one that tests.

    Args:
        specialists: roles of the first layer.
        terminal: ``"coding"``, or ``"testing"`` for a testing agent that reads the coding one.
        slots: ``N``.

    Raises:
        ValueError: for unknown roles, another terminal, or too many agents.
    """
    if isinstance(specialists, str) or not isinstance(specialists, Sequence):
        raise ValueError(f"specialists: expected a list, got {checks.shown(specialists)}")
    checks.choice("terminal", terminal, ("coding", "testing"))
    first = [(checks.choice("role of specialists", name, ROLES), ()) for name in specialists]
    steps: list[list[tuple[str, Sequence[int]]]] = [list(first)] if first else []
    steps.append([("coding", list(range(len(first))))])
    if terminal == "testing":
        steps.append([("testing", [len(first)])])
    return role_graph(steps, slots=slots)
