"""What each small world does, against arithmetic done by hand or by a slow oracle."""

import itertools

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest

from jaxswarm import envs, topology
from jaxswarm.envs.aloha import ladder
from jaxswarm.envs.coordination_game import CoordinationParams
from jaxswarm.envs.corridor_maze import CorridorParams
from jaxswarm.envs.corridor_maze import environment as corridor
from jaxswarm.envs.pendulum import PendulumParams, PendulumWorld
from jaxswarm.envs.porters import PortersParams
from jaxswarm.envs.risky_point_mass import RiskyParams, RiskyWorld
from jaxswarm.envs.spread import SpreadWorld
from jaxswarm.envs.tag import TagWorld


def advance(env, world, action, params=None, key=None):
    params = jax.tree.map(jnp.asarray, env.params if params is None else params)
    key = jax.random.key(0) if key is None else key
    return jax.jit(env.advance)(key, world, jnp.asarray(action), params)


def test_guessing_the_sum_costs_the_error():
    env = envs.SumGuessing(num_agents=3)
    world = jnp.array([1.0, -4.0, 6.0])
    outcome = advance(env, world, [[3.0], [0.0], [10.0]])
    np.testing.assert_allclose(outcome.reward, [0.0, -3.0, -7.0])
    assert bool(outcome.terminated)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_coordination_pays_by_the_papers_table(n):
    env = envs.CoordinationGame(num_agents=n)
    margin = {2: 1, 3: 1, 5: 2}[n]
    still = CoordinationParams(flip=0.0, margin=float(margin))
    step = jax.jit(env.advance)
    for bits in itertools.product([0, 1], repeat=n):
        ones, zeros = sum(bits), n - sum(bits)
        if abs(zeros - ones) <= margin:
            expected = 1.0 if zeros < ones else 0.0
        else:
            expected = 3.0 if zeros > ones else 2.0
        actions = jnp.array(bits)[::-1]
        outcome = step(jax.random.key(0), jnp.array(bits, bool), actions, still)
        assert outcome.reward.tolist() == [expected] * n
        assert outcome.world.tolist() == actions.astype(bool).tolist()


def test_bits_flip_as_often_as_they_should(key):
    env = envs.CoordinationGame(num_agents=1000, margin=3)
    outcome = advance(env, jnp.zeros(1000, bool), jnp.ones(1000, jnp.int32), key=key)
    assert 0.06 < 1.0 - float(outcome.world.mean()) < 0.14


def test_the_ladder_is_the_papers():
    graph = nx.Graph(topology.to_networkx(ladder(10)).to_undirected())
    expected = nx.ladder_graph(5)
    expected.add_edge(4, 5)
    assert set(map(frozenset, graph.edges)) == set(map(frozenset, expected.edges))


def test_neighbors_that_both_send_collide():
    env = envs.Aloha(num_agents=4, topology=topology.path(4))
    backlog = jnp.array([2, 1, 0, 1])
    silent = envs.aloha.AlohaParams(arrival=0.0)
    outcome = advance(env, backlog, [1, 1, 1, 1], silent)  # the third has nothing to send
    assert outcome.metrics["clean"] == 1
    assert outcome.metrics["collisions"] == 2
    assert outcome.world.tolist() == [2, 1, 0, 0]
    np.testing.assert_allclose(outcome.reward, [0.1 - 20.0] * 4, rtol=1e-6)


def test_backlogs_fill_up_to_their_capacity():
    env = envs.Aloha(num_agents=4)
    world = jnp.ones(4, jnp.int32)
    always = envs.aloha.AlohaParams(arrival=1.1, capacity=3)
    for _ in range(5):
        world = advance(env, world, [0, 0, 0, 0], always).world
    assert world.tolist() == [3] * 4


def test_the_straight_way_is_shorter_and_riskier(key):
    env = envs.RiskyPointMass(num_agents=2000)
    n = env.num_agents
    center = RiskyWorld(jnp.full((n, 2), 0.5), jnp.zeros(n, bool))
    outcome = advance(env, center, jnp.zeros((n, 2)), key=key)
    rate = int(outcome.metrics["struck"]) / n
    assert 0.07 < rate < 0.12  # a tenth at the centre, a little less around it
    rim = RiskyWorld(jnp.full((n, 2), 0.1), jnp.zeros(n, bool))
    assert int(advance(env, rim, jnp.zeros((n, 2)), key=key).metrics["struck"]) == 0


def test_an_agent_that_arrived_stays_and_earns_no_more():
    env = envs.RiskyPointMass(num_agents=2)
    calm = RiskyParams(noise=0.0, risk=0.0)
    state, _ = env.reset(jax.random.key(0), calm)
    world = RiskyWorld(jnp.array([[0.05, 0.05], [0.9, 0.9]]), jnp.zeros(2, bool))
    step = jax.jit(env.step)
    state, timestep = step(state._replace(world=world), jnp.full((2, 2), -0.5))
    assert timestep.observation.agent_mask.tolist() == [False, True]
    assert timestep.discount.tolist() == [0.0, 1.0]
    state, timestep = step(state, jnp.full((2, 2), 1.0))
    assert timestep.reward[0] == 0.0
    np.testing.assert_allclose(state.world.position[0], [0.0, 0.0], atol=1e-6)


@pytest.mark.parametrize(("rows", "columns"), [(1, 5), (3, 4), (4, 6)])
def test_the_corridor_is_as_long_as_it_says(rows, columns):
    env = envs.CorridorMaze(rows=rows, columns=columns)
    graph = nx.Graph()
    cells = {tuple(cell) for cell in np.argwhere(env.floor)}
    for cell in cells:
        for move in corridor.MOVES:
            other = (cell[0] + move[0], cell[1] + move[1])
            if other in cells:
                graph.add_edge(cell, other)
    way = nx.shortest_path(graph, (0, 0), tuple(env.goal))
    assert len(way) - 1 == env.length == len(cells) - 1
    moves = [
        np.argwhere((corridor.MOVES == np.subtract(b, a)).all(1))[0, 0]
        for a, b in itertools.pairwise(way)
    ]
    state, _ = jax.jit(env.reset)(jax.random.key(0))
    step = jax.jit(env.step)
    total = 0.0
    for move in moves:
        state, timestep = step(state, jnp.array([move]))
        total += float(timestep.reward[0])
    assert total == 1.0
    assert bool(timestep.last())
    assert not bool(timestep.extras["truncated"])


def test_walls_stop_and_a_sticky_corridor_repeats(key):
    env = envs.CorridorMaze(num_agents=1000, rows=1, columns=9)
    state, first = jax.jit(env.reset)(key)
    assert first.observation.walls[0].tolist() == [1, 1, 1, 0]
    up = jnp.zeros(1000, jnp.int32)
    same = advance(env, state.world, up)
    assert (np.asarray(same.world.position) == 0).all()
    sticky = advance(env, state.world, up, CorridorParams(slip=0.3), key)
    assert 0.25 < float((sticky.world.position[:, 1] == 1).mean()) < 0.35


def test_treasures_pay_once_and_by_preference():
    env = envs.TwoObjectiveGrid(treasures=(((0, 1), (1.0, 3.0)), ((1, 0), (2.0, 0.0))))
    prefer = env.params._replace(preference=np.float32([0.25, 0.75]))
    state, _ = env.reset(jax.random.key(0), prefer)
    state, timestep = jax.jit(env.step)(state, jnp.array([4, 4]))  # both to the same treasure
    assert timestep.extras["objectives"].tolist() == [1.0, 3.0]
    np.testing.assert_allclose(timestep.reward, [2.5, 2.5])
    state, timestep = env.step(state, jnp.array([0, 0]))
    assert timestep.reward.tolist() == [0.0, 0.0]


def test_the_default_front_has_a_concave_part():
    """Some efficient plan is best for no preference: linear scalarisation cannot find it."""
    env = envs.TwoObjectiveGrid()
    cells = [tuple(cell) for cell in env.cells]
    far = env.time_limit

    def reachable(route):
        place, steps = (0, 0), 0
        for cell in route:
            steps += abs(cell[0] - place[0]) + abs(cell[1] - place[1])
            place = cell
        return steps <= far

    def hauls():
        """What one agent can collect: every set of treasures with a route within time."""
        for size in range(len(cells) + 1):
            for chosen in itertools.combinations(range(len(cells)), size):
                if any(
                    reachable([cells[i] for i in order]) for order in itertools.permutations(chosen)
                ):
                    yield frozenset(chosen)

    single = list(hauls())
    values = {tuple(env.worths[sorted(a | b)].sum(axis=0).tolist()) for a in single for b in single}
    front = [v for v in values if not any(w != v and w[0] >= v[0] and w[1] >= v[1] for w in values)]
    assert len(front) == 5
    weights = np.linspace(0.0, 1.0, 1001)
    scores = np.stack([weights * v[0] + (1 - weights) * v[1] for v in front])
    supported = set(scores.argmax(axis=0).tolist())
    assert len(supported) == 3


def test_attainable_returns_are_those_of_all_plans():
    treasures = (((0, 1), (1.0, 0.0)), ((1, 0), (0.5, 2.0)), ((0, 0), (0.0, -1.0)))
    for n in (1, 2):
        env = envs.TwoObjectiveGrid(n, size=2, time_limit=2, treasures=treasures)
        plans = np.array(list(itertools.product(range(5), repeat=2 * n))).reshape(-1, 2, n)

        def play(plan, env=env):
            state, _ = env.reset(jax.random.key(0))
            total = jnp.zeros(2)
            for action in plan:
                state, timestep = env.step(state, action)
                total += timestep.extras["objectives"]
            return total

        returns = np.unique(jax.jit(jax.vmap(play))(jnp.asarray(plans, jnp.int32)), axis=0)
        np.testing.assert_allclose(envs.two_objectives.attainable_returns(env), returns)


def test_deep_sea_treasure_has_the_known_concave_front():
    """All shortest routes earn the known front, whose concave part no linear preference prefers."""
    front = envs.deep_sea_treasure.true_front()
    env = envs.DeepSeaTreasure(num_agents=1)
    step = jax.jit(env.step)
    for column, (value, time) in enumerate(front.tolist()):
        state, _ = env.reset(jax.random.key(0))
        total = np.zeros(2)
        for action in [3] * column + [1] * int(-time - column):
            state, timestep = step(state, jnp.array([action]))
            total += np.asarray(timestep.extras["objectives"])
        assert bool(timestep.last())
        assert total.tolist() == [value, time]
    weights = np.linspace(0.0, 1.0, 1001)
    best = (weights[:, None] * front[:, 0] + (1 - weights[:, None]) * front[:, 1]).argmax(axis=1)
    assert set(best.tolist()) == {0, len(front) - 1}


def test_the_map_is_that_of_mo_gymnasium():
    package = "mo_gymnasium.envs.deep_sea_treasure.deep_sea_treasure"
    theirs = pytest.importorskip(package)
    sea = np.asarray(theirs.CONCAVE_MAP, float)
    for column, (value, depth) in enumerate(
        zip(envs.deep_sea_treasure.VALUES, envs.deep_sea_treasure.DEPTHS, strict=True)
    ):
        assert sea[depth, column] == pytest.approx(value)


def test_submarines_do_not_enter_the_bed_and_leave_with_their_treasure():
    env = envs.DeepSeaTreasure(num_agents=2, time_limit=5)
    state, _ = env.reset(jax.random.key(0))
    step = jax.jit(env.step)
    state, timestep = step(state, jnp.array([1, 3]))  # the first finds a treasure
    assert timestep.observation.agent_mask.tolist() == [False, True]
    assert timestep.extras["objectives"].tolist() == [0.5, -1.0]
    state, timestep = step(state, jnp.array([3, 0]))  # gone, and out of the water
    assert state.world.position.tolist() == [[1, 0], [0, 1]]
    assert timestep.extras["objectives"].tolist() == [0.0, -0.5]
    for action in (1, 2):  # down, then left into the treasure's column below its bed
        state, timestep = step(state, jnp.array([0, action]))
    assert state.world.position.tolist() == [[1, 0], [1, 0]]


def test_collisions_and_coverage_as_counted_by_hand():
    env = envs.SimpleSpread(num_agents=3)
    position = jnp.array([[0.0, 0.0], [0.2, 0.0], [2.0, 2.0]])
    landmarks = jnp.array([[0.0, 0.0], [0.2, 0.0], [2.0, 1.0]])
    frozen = env.params._replace(time_step=0.0)
    outcome = advance(
        env, SpreadWorld(position, jnp.zeros((3, 2)), landmarks), jnp.zeros((3, 2)), frozen
    )
    assert float(outcome.metrics["uncovered"]) == pytest.approx(1.0)
    assert int(outcome.metrics["collisions"]) == 1
    np.testing.assert_allclose(outcome.reward, [-0.5 - 0.5, -0.5 - 0.5, -0.5], rtol=1e-6)


def test_bodies_that_touch_are_pushed_apart_with_equal_force():
    env = envs.SimpleSpread(num_agents=2)
    world = SpreadWorld(jnp.array([[0.0, 0.0], [0.1, 0.0]]), jnp.zeros((2, 2)), jnp.ones((2, 2)))
    after = advance(env, world, jnp.zeros((2, 2))).world
    assert after.velocity[0, 0] < 0 < after.velocity[1, 0]
    np.testing.assert_allclose(after.velocity.sum(axis=0), 0.0, atol=1e-5)


def test_a_catch_pays_every_hunter_and_costs_the_prey():
    env = envs.SimpleTag(num_hunters=2, num_prey=1, num_obstacles=0)
    frozen = env.params._replace(time_step=0.0)
    world = TagWorld(
        jnp.array([[0.0, 0.0], [0.5, 0.5], [0.05, 0.0]]),
        jnp.zeros((3, 2)),
        jnp.array([False, False, True]),
        jnp.zeros((0, 2)),
    )
    outcome = advance(env, world, jnp.zeros((3, 2)), frozen)
    np.testing.assert_allclose(outcome.reward, [10.0, 10.0, -10.0])


@pytest.mark.slow
def test_prey_are_faster_than_hunters():
    env = envs.SimpleTag(num_hunters=1, num_prey=1, num_obstacles=0)
    far = jnp.array([[-5.0, 0.0], [5.0, 0.0]])
    world = TagWorld(far, jnp.zeros((2, 2)), jnp.array([False, True]), jnp.zeros((0, 2)))
    for _ in range(30):
        world = advance(env, world, jnp.array([[1.0, 0.0], [1.0, 0.0]])).world
    np.testing.assert_allclose(world.velocity[:, 0], [1.0, 1.3], rtol=1e-3)


def test_a_row_that_walks_together_carries_and_one_that_does_not_drops():
    env = envs.Porters(num_agents=3)
    flat = PortersParams(roughness=0.0)
    state, _ = env.reset(jax.random.key(0), flat)
    step = jax.jit(env.step)
    start, total = float(state.world.position.mean()), 0.0
    for _ in range(20):
        state, timestep = step(state, jnp.ones((3, 1)))
        total += float(timestep.reward[0])
    assert not bool(timestep.last())
    assert total == pytest.approx(float(state.world.position.mean()) - start, rel=1e-4)
    while not bool(timestep.last()):
        state, timestep = step(state, jnp.array([[-1.0], [0.0], [1.0]]))
    assert bool(timestep.extras["fell"])
    assert timestep.discount.tolist() == [0.0] * 3
    assert float(timestep.reward[0]) < -5.0


BAD = {
    "margin": (lambda: envs.CoordinationGame(num_agents=7), "margin"),
    "lead": (lambda: envs.CoordinationGame(num_agents=3, margin=3), "margin"),
    "ladder": (lambda: envs.Aloha(num_agents=5), "even number"),
    "graph": (lambda: envs.Aloha(num_agents=4, topology=topology.ring(5)), "topology"),
    "hunters": (lambda: envs.SimpleTag(num_hunters=0), "num_hunters"),
    "porters": (lambda: envs.Porters(num_agents=1), "num_agents"),
    "rows": (lambda: envs.CorridorMaze(rows=0), "rows"),
    "outside": (lambda: envs.TwoObjectiveGrid(size=3), "treasures: expected cells within"),
    "twice": (
        lambda: envs.TwoObjectiveGrid(treasures=(((0, 1), (1, 1)), ((0, 1), (2, 1)))),
        "one per cell",
    ),
    "worth": (lambda: envs.TwoObjectiveGrid(treasures=(((0, 1), (1, np.nan)),)), "finite values"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()


def test_a_pendulum_is_gyms():
    env = envs.Pendulum(num_agents=2)
    world = PendulumWorld(jnp.array([0.5, 7.0]), jnp.array([-1.0, 3.0]))
    params = PendulumParams(mass=jnp.array([1.0, 2.0]), length=jnp.array([1.0, 0.5]))
    after = env.advance(jax.random.key(0), world, jnp.array([[0.5], [-3.0]]), params)
    for i, (angle, velocity, mass, length, u) in enumerate(
        [(0.5, -1.0, 1.0, 1.0, 1.0), (7.0, 3.0, 2.0, 0.5, -2.0)]
    ):
        direct = (angle + np.pi) % (2 * np.pi) - np.pi
        cost = direct**2 + 0.1 * velocity**2 + 0.001 * u**2
        push = 15.0 / length * np.sin(angle) + 3.0 / (mass * length**2) * u
        faster = np.clip(velocity + 0.05 * push, -8.0, 8.0)
        assert float(after.reward[i]) == pytest.approx(-cost, rel=1e-5)
        assert float(after.world.velocity[i]) == pytest.approx(faster, rel=1e-5)
        assert float(after.world.angle[i]) == pytest.approx(direct + 0.05 * faster, rel=1e-5)
