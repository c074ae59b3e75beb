"""SwarmBench once more, slowly: bodies as sets of cells, every set of movers tried.

Written from the rules alone. A pass builds the graph of contacts, merges bodies that push each
other in a circle, and tries all closed sets of movers, largest first; whether leftover forces can
be handed on so that every mover is pushed enough is a maximum flow.
"""

import itertools

import networkx as nx
import numpy as np
from scipy.optimize import linear_sum_assignment

STEPS = [(-1, 0), (1, 0), (0, -1), (0, 1)]


class Body:
    def __init__(self, cells, mass=1, static=False):
        self.cells, self.mass, self.static = set(cells), mass, static


def one_pass(bodies, forces, step):
    """Move the largest set of bodies that can be pushed one ``step``."""
    owner = {cell: k for k, body in enumerate(bodies) for cell in body.cells}
    contacts = nx.DiGraph()
    contacts.add_nodes_from(range(len(bodies)))
    for (i, j), k in owner.items():
        other = owner.get((i + step[0], j + step[1]))
        if other is not None and other != k:
            contacts.add_edge(k, other)
    merged = nx.condensation(contacts)
    supply, static = {}, set()
    for node, data in merged.nodes(data=True):
        members = data["members"]
        force, mass = sum(forces[k] for k in members), sum(bodies[k].mass for k in members)
        supply[node] = force - mass  # force against the pass adds to the mass: the same difference
        if any(bodies[k].static for k in members):
            static.add(node)
    stuck = static.union(*(nx.ancestors(merged, node) for node in static)) if static else set()
    able = merged.subgraph(set(merged) - stuck)
    movers = set()
    for part in nx.weakly_connected_components(able):
        movers |= largest_movable(able.subgraph(part), supply)
    for node in movers:
        for k in merged.nodes[node]["members"]:
            bodies[k].cells = {(i + step[0], j + step[1]) for i, j in bodies[k].cells}


def largest_movable(graph, supply):
    nodes = list(graph)
    for size in range(len(nodes), 0, -1):
        for chosen in map(set, itertools.combinations(nodes, size)):
            closed = all(set(graph.successors(node)) <= chosen for node in chosen)
            if closed and can_push(graph.subgraph(chosen), supply):
                return chosen
    return set()


def can_push(graph, supply):
    network = nx.DiGraph()
    network.add_nodes_from(["from", "to"])
    network.add_edges_from(graph.edges)  # without a capacity: unbounded
    needed = 0
    for node in graph:
        if supply[node] > 0:
            network.add_edge("from", node, capacity=supply[node])
        elif supply[node] < 0:
            network.add_edge(node, "to", capacity=-supply[node])
            needed -= supply[node]
    return nx.maximum_flow_value(network, "from", "to") == needed


class Oracle:
    """The five tasks from a given start; ``faithful`` as the reference behaves."""

    def __init__(self, task, terrain, position, marked, rounds, **known):
        self.task, self.terrain, self.rounds = task, np.asarray(terrain), rounds
        self.position = [tuple(int(x) for x in p) for p in position]
        self.present = [True] * len(self.position)
        self.marked = [bool(m) for m in marked]
        self.score, self.round = 0.0, 0
        self.prey = tuple(int(x) for x in known["prey"]) if "prey" in known else None
        self.prey_static, self.last = False, -1
        self.box = {tuple(int(x) for x in cell) for cell in known.get("box", ())}
        if task == "flocking":
            self.initial = self.formation()

    def inside(self, cell):
        return 0 <= cell[0] < self.terrain.shape[0] and 0 <= cell[1] < self.terrain.shape[1]

    def step(self, actions, draws=None):
        self.push(actions)
        getattr(self, self.task)(actions, draws)
        self.present = [
            p and self.inside(c) for p, c in zip(self.present, self.position, strict=True)
        ]
        self.round += 1

    def push(self, actions):
        for d, step in enumerate(STEPS):
            bodies = [Body([tuple(c)], static=True) for c in np.argwhere(self.terrain > 0)]
            forces = [0] * len(bodies)
            pushed = []
            for agent, cell in enumerate(self.position):
                if self.present[agent] and self.inside(cell):
                    bodies.append(Body([cell]))
                    action = actions[agent]
                    forces.append(2 if action == d else -2 if action == d ^ 1 else 0)
                    pushed.append((agent, bodies[-1]))
            if self.prey is not None:
                bodies.append(Body([self.prey], static=self.prey_static))
                forces.append(0)
                prey = bodies[-1]
            if any(self.inside(cell) for cell in self.box):
                bodies.append(Body(self.box, mass=5))
                forces.append(0)
                box = bodies[-1]
            else:
                box = None
            one_pass(bodies, forces, step)
            for agent, body in pushed:
                (self.position[agent],) = body.cells
            if self.prey is not None:
                (self.prey,) = prey.cells
            if box is not None:
                self.box = box.cells

    def cell(self, cell):
        """What is there: '.', or a letter."""
        if self.terrain[cell] > 0:
            return "W"
        here = any(p and c == cell for p, c in zip(self.present, self.position, strict=True))
        return "A" if here else "P" if cell == self.prey else "."

    def danger(self, i, j):
        total = 0
        for a in range(max(i - 4, 0), min(i + 4, self.terrain.shape[0])):
            for b in range(max(j - 4, 0), min(j + 4, self.terrain.shape[1])):
                total += {"A": 10, "W": 9}.get(self.cell((a, b)), 0)
        return total

    def pursuit(self, actions, draws):
        i, j = self.prey
        order = [(0, 1), (0, -1), (1, 0), (-1, 0)]
        if all(self.cell((i + a, j + b)) != "." for a, b in order):
            self.score += 1
            self.prey = None
            free = [c for c in np.ndindex(self.terrain.shape) if self.cell(c) == "."]
            self.prey = min((free[k] for k in draws(len(free))), key=lambda c: self.danger(*c))
            self.prey_static = True
            return
        best, target = self.danger(i, j - 1), None
        for (a, b), (c, d) in itertools.product(order, order):
            ways = [(i + a + c, j + b + d), (i + a, j + b), (i + c, j + d)]
            if any(not self.inside(way) or self.cell(way) != "." for way in ways):
                continue
            if self.danger(*ways[0]) < best:
                best, target = self.danger(*ways[0]), ways[0]
        self.prey = self.prey if target is None else target

    def synchronization(self, actions, draws):
        self.marked = [m != (a == 5) for m, a in zip(self.marked, actions, strict=True)]
        on = sum(self.marked)
        if on in (0, len(self.marked)) and on != self.last:
            self.last = on
            self.score += 1

    def foraging(self, actions, draws):
        for agent, (i, j) in enumerate(self.position):
            near = [self.terrain[i + a, j + b] for a, b in STEPS]
            if 7 in near:
                self.marked[agent] = True
            if 8 in near:
                self.score += self.marked[agent]
                self.marked[agent] = False

    def formation(self):
        side = len(self.position) // 4 + 1
        target = np.array(
            [c for c in np.ndindex(side, side) if {0, side - 1} & set(c)]  # the rim
        )
        agents, best = np.array(self.position), np.inf
        for agent, cell in itertools.product(agents, target):
            moved = target + (agent - cell)
            steps = np.abs(agents[:, None] - moved[None]).sum(axis=2)
            best = min(best, steps[linear_sum_assignment(steps)].sum())
        return best

    def flocking(self, actions, draws):
        self.score = max(self.score, self.initial - self.formation())

    def transport(self, actions, draws):
        for agent, cell in enumerate(self.position):
            if self.present[agent] and not self.inside(cell):
                self.score += (self.rounds - self.round) / self.rounds
