"""AgentConductor: graphs, density, execution against a slow oracle, decoding, learning."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import coordination
from jaxswarm.systems import agent_conductor as ac
from jaxswarm.systems.agent_conductor import _decoder

SLOTS = 5
BANDS = (2, 4, 5)
CHAIN = [[("planning", [])], [("algorithm", [0])], [("coding", [1])], [("testing", [2])]]


@pytest.fixture(scope="module")
def small():
    return ac.conductor(slots=SLOTS, max_nodes=BANDS, width=8, group_size=4)


@pytest.fixture(scope="module")
def tasks():
    return jax.jit(lambda key: ac.sample_tasks(key, 6))(jax.random.key(0))


@pytest.fixture(scope="module")
def state(small):
    return jax.jit(small.init)(jax.random.key(1))


@pytest.fixture(scope="module")
def executed(tasks):
    backend = ac.role_backend()

    @jax.jit
    def run(graph, event, program=None):
        world = ac.CodeWorld()
        return ac.execute(
            jax.random.key(2), world, backend, backend.init(), tasks, graph, event=event,
            program=program,
        )[1]  # fmt: skip

    return run


def many(graph, count=6):
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *np.shape(x))), graph)


def gathered_by_hand(world, graph, right):
    """Evidence of the terminal agent by enumerating all paths from each origin."""
    refs, role = np.asarray(graph.refs), np.asarray(graph.role)
    nodes = int(np.argmax(np.append(role, ac.STOP) == ac.STOP))
    share = np.zeros(nodes)
    for i in range(nodes):
        number = refs[i, :nodes].sum()
        misled = sum(refs[i, j] and not right[j] for j in range(nodes))
        kept = (1 - world.distraction) ** number * (1 - world.misleading) ** misled
        share[i] = world.transmission * kept

    def best(origin, reader):
        if origin == reader:
            return 1.0
        read = np.flatnonzero(refs[reader, :nodes])
        return share[reader] * max((best(origin, j) for j in read), default=0.0)

    left = np.ones(len(ac.SKILLS))
    for j in range(nodes):
        if right[j]:
            left *= 1 - best(j, nodes - 1) * np.asarray(world.evidence)[role[j]]
    return 1 - left


@pytest.mark.parametrize("seed", range(3))
def test_execution_equals_enumerated_paths(executed, seed):
    key = jax.random.key(seed)
    sizes = jnp.full(6, SLOTS)
    graphs = jax.jit(lambda key: _decoder.random_graphs(key, sizes, SLOTS))(key)
    outcome = executed(graphs, 0)
    assert (np.asarray(outcome.error) == 0).all()
    for i in range(6):
        graph = jax.tree.map(lambda x, i=i: np.asarray(x[i]), graphs)
        expected = gathered_by_hand(ac.CodeWorld(), graph, np.asarray(outcome.right[i]))
        np.testing.assert_allclose(outcome.program.evidence[i], expected, atol=1e-5)


def chance_of_success(edges, needs, world, reliability=0.93):
    """Chance that the last of four agents has the evidence, by enumeration of all replies."""
    roles = ("retrieval", "algorithm", "planning", "coding")
    role = np.array([ac.ROLES.index(name) for name in roles])
    refs = np.zeros((4, 4), bool)
    for i, j in edges:
        refs[i, j] = True
    graph = ac.RoleGraph(np.append(role, ac.STOP), np.array([True] * 4 + [False]),
                         np.pad(refs, (0, 1)))  # fmt: skip
    total = 0.0
    for right in itertools.product((False, True), repeat=4):
        chance = 1.0
        for i in range(4):
            number = refs[i].sum()
            misled = sum(refs[i, j] and not right[j] for j in range(4))
            kept = (1 - world.distraction) ** number * (1 - world.misleading) ** misled
            own = reliability * kept
            chance *= own if right[i] else 1 - own
        total += chance * bool((gathered_by_hand(world, graph, right) >= needs).all())
    return total


def test_neither_more_nor_fewer_references_always_help():
    """Over all 64 acyclic graphs of four agents the best has some references and lacks some."""
    pairs = [(i, j) for i in range(4) for j in range(i)]
    world = ac.CodeWorld()
    needs = np.array([0.5, 0.5, 0.55, 0.5, 0.0])
    chances = {
        chosen: chance_of_success(chosen, needs, world)
        for count in range(7)
        for chosen in itertools.combinations(pairs, count)
    }
    best = max(chances, key=chances.__getitem__)
    assert 0 < len(best) < len(pairs)
    assert chances[best] > chances[()] + 0.1
    assert chances[best] > chances[tuple(pairs)] + 0.05
    rises = [chances[tuple(sorted({*c, p}))] - chances[tuple(sorted(c))]
             for c in chances for p in pairs
             if p not in c and tuple(sorted({*c, p})) in chances
             and tuple(sorted(c)) in chances]  # fmt: skip
    assert max(rises) > 0.01
    assert min(rises) < -0.01


def test_tokens_are_read_and_written(executed, tasks):
    outcome = executed(many(ac.single_coder(SLOTS)), 0)
    tokens = np.asarray(outcome.tokens)
    assert (tokens > 300 + 100).all()
    longer = executed(many(ac.role_graph(CHAIN, slots=SLOTS)), 0)
    assert (np.asarray(longer.tokens) > tokens).all()
    later = executed(many(ac.single_coder(SLOTS)), 1, outcome.program)
    assert (np.asarray(later.program.evidence) >= np.asarray(outcome.program.evidence) * 0.9).all()


def test_invalid_graphs_are_not_executed(executed):
    bad = ac.single_coder(SLOTS)
    bad = many(bad._replace(refs=np.eye(SLOTS, dtype=bool)))
    outcome = executed(bad, 0)
    assert (np.asarray(outcome.tokens) == 0).all()
    assert {ac.VERDICTS[v] for v in np.asarray(outcome.verdict)} == {"not executed"}


def test_verdicts_are_the_most_severe_failure(tasks):
    assert (np.asarray(ac.judge(tasks, np.ones((6, 5)))) == 0).all()
    lacking = np.ones((6, 5))
    lacking[:, 3] = 0.0  # implementation
    assert (np.asarray(ac.judge(tasks, lacking)) == ac.VERDICTS.index("runtime error")).all()


def changed(**fields):
    graph = ac.role_graph(CHAIN, slots=SLOTS)
    made = {name: np.array(x) for name, x in graph._asdict().items()}
    for name, (place, value) in fields.items():
        made[name][place] = value
    return ac.RoleGraph(**made)


@pytest.mark.parametrize(
    ("graph", "error"),
    [
        (changed(), "valid"),
        (changed(role=(0, ac.STOP)), "none found"),
        (changed(opens=(0, False)), "parse"),
        (changed(role=(1, ac.UNKNOWN)), "schema"),
        (changed(opens=(4, True)), "schema"),
        (changed(refs=((1, 2), True)), "logic"),  # forward
        (changed(refs=((1, 1), True)), "logic"),  # itself
        (changed(opens=(2, False)), "logic"),  # same layer
        (changed(refs=((1, 0), False)), "logic"),  # unread
        (changed(role=(3, 1)), "logic"),  # the terminal agent plans
        (changed(role=(2, 1)), "logic"),  # no coding agent
    ],
)
def test_format_errors(graph, error):
    assert ac.FORMAT_ERRORS[int(ac.format_error(graph, SLOTS))] == error
    if error == "valid":
        assert ac.FORMAT_ERRORS[int(ac.format_error(graph, 3))] == "logic"


@pytest.mark.parametrize("most", ac.MAX_NODES)
def test_one_agent_is_the_sparsest_valid_graph(most):
    low, high = ac.reward_range(most)
    assert high == 1.0
    assert 0.0 < low < 1.0
    single = ac.sparsity(ac.single_coder(), most)
    assert float(single.edge) == 1.0
    assert float(single.total) == pytest.approx(np.exp(np.exp(-1 / most) + 2.0), rel=1e-5)
    mesh = ac.full_mesh()
    assert float(ac.graph_reward(mesh, 10)) == pytest.approx(
        float(ac.sparsity(mesh, 10).total / ac.sparsity(ac.single_coder(), 10).total)
    )


def test_rewards_that_favour_the_sparsest_graph_are_refused():
    ac.conductor(rewards=ac.Rewards(passed=1.8))
    with pytest.raises(ValueError, match=r"rewards\.passed: .* the sparsest valid graph"):
        ac.conductor(rewards=ac.Rewards(passed=1.5))


@functools.cache
def _score(net):
    """The probability of a graph, one program for masked and free drawing."""
    return jax.jit(lambda *args: jnp.exp(net.apply(*args, method="log_probs").sum()))


@pytest.mark.parametrize("masked", [True, False])
def test_log_probabilities_are_those_of_the_draws(masked):
    """A graph drawn slot by slot has the log-probability that one pass gives it; they add to 1."""
    net = _decoder.Decoder(1, 4)
    seen, most = jnp.ones((1, 3)), jnp.ones(1, jnp.int32)
    params = jax.jit(net.init)(jax.random.key(3), seen, jnp.ones((1, ac.NUM_FEATURES)))
    total = 0.0
    score = _score(net)
    for token, opens, ref in itertools.product(range(8), (False, True), (False, True)):
        if token == ac.STOP and ref:
            continue  # the end has no references
        graph = ac.RoleGraph(jnp.full((1, 1), token), jnp.full((1, 1), opens),
                             jnp.full((1, 1, 1), ref))  # fmt: skip
        if masked and (token != 3 or not opens or ref):
            continue  # cannot be drawn
        total += float(score(params, seen, graph, most, jnp.asarray(masked)))
    assert total == pytest.approx(1.0, abs=1e-5)


def test_masked_decoding_is_always_valid(small, state):
    features = jax.random.normal(jax.random.key(4), (64, ac.NUM_FEATURES))
    plan = jax.jit(small.plan)
    masked = plan(jax.random.key(5), state.params, features, ac.Options(masked=True))
    assert (np.asarray(ac.format_error(masked, SLOTS)) == 0).all()
    free = plan(jax.random.key(5), state.params, features, ac.Options(masked=False))
    assert (np.asarray(ac.format_error(free, SLOTS)) != 0).mean() > 0.2


@pytest.mark.slow
def test_hidden_variables_do_not_reach_the_plan(small, state, tasks):
    solve = jax.jit(small.solve)
    key = jax.random.key(6)
    found = solve(key, state.params, tasks)
    other = tasks._replace(difficulty=2 - tasks.difficulty, threshold=tasks.threshold * 0.5)
    again = solve(key, state.params, other)
    jax.tree.map(np.testing.assert_array_equal, found.first.graph, again.first.graph)


@pytest.mark.slow  # compiles for half a minute
def test_learning_steps_are_finite_and_equal_rewards_change_nothing(small, state, tasks):
    imitated, info = jax.jit(small.imitate)(jax.random.key(7), state, tasks)
    assert np.isfinite(float(info.loss))
    frozen = small.freeze(imitated)
    step = jax.jit(small.step)
    after, info = step(jax.random.key(8), frozen, tasks, ac.Options(masked=True))
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(after.params))
    assert 0.0 <= float(info.passed) <= 1.0
    alike = small.freeze(imitated)
    options = ac.Options(masked=True, execution=0.0, density=0.0)
    same, _ = step(jax.random.key(8), alike, tasks, options)
    jax.tree.map(np.testing.assert_array_equal, same.params, alike.params)


def test_a_backend_of_the_user_takes_the_place_of_the_agents(tasks):
    """All agents that always answer right pass what their evidence covers."""
    calls = []

    def ask(call):
        calls.append(call)
        return {"answer": 0, "tokens_out": 10.0}

    backend = coordination.host_backend(ask, len(ac.ROLES), num_answers=8)
    system = ac.conductor(backend, slots=SLOTS, max_nodes=BANDS, width=8)
    known = tasks._replace(truth=jnp.zeros(6, jnp.int32), threshold=tasks.threshold * 0.0)
    found = system.replay(jax.random.key(9), known, many(ac.single_coder(SLOTS)))
    assert np.asarray(found.passed).all()
    assert {call["worker"] for call in calls} == {ac.ROLES.index("coding")}
    assert "truth" not in calls[0]


def test_graphs_become_task_graphs():
    graph = ac.task_graph_of(ac.role_graph(CHAIN, slots=SLOTS))
    assert float(coordination.critical_path(graph)) == 4.0


@pytest.mark.slow
def test_training_raises_the_reward():
    system = ac.conductor(slots=SLOTS, max_nodes=BANDS, width=16)
    state = system.init(jax.random.key(0))
    option = ac.Options(masked=True)

    @jax.jit
    def train(state):
        def step(state, i):
            key = jax.random.fold_in(jax.random.key(1), i)
            state, info = system.step(key, state, ac.sample_tasks(key, 8), option)
            return state, info.reward

        return jax.lax.scan(step, state, jnp.arange(160))[1]

    rewards = np.asarray(train(state))
    assert rewards[-20:].mean() > rewards[:20].mean() + 0.1


BAD_STEPS = [
    ([], "at least one agent"),
    ([[]], "no empty layer"),
    ([[("coder", [])]], "role"),
    ([[("coding", [0])]], "refers to 0"),
    ([[("planning", []), ("coding", [0])]], "refers to 0"),
    ([[("planning", [])], [("coding", [2])]], "refers to 2"),
    ([[("planning", [])], [("coding", [0, 0])]], "twice"),
    ([[("coding", [])], [("planning", [0])]], "coding or testing agent at the end"),
    ([[("testing", [])]], "a coding agent"),
    ([[("planning", [])], [("coding", [])]], "output is lost"),
    ([[("coding", [])]] * 6, "at most"),
    ("coding", "layers"),
]


@pytest.mark.parametrize(("steps", "message"), BAD_STEPS)
def test_wrong_graphs_are_refused(steps, message):
    with pytest.raises(ValueError, match=message):
        ac.role_graph(steps, slots=SLOTS)
