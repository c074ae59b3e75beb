"""DAMCS: memory graph, messages, navigator, decisions, whole teams, text policies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import coordination, envs
from jaxswarm.envs import crafter
from jaxswarm.envs.crafter import ITEMS, MATERIALS
from jaxswarm.systems import damcs
from jaxswarm.systems.damcs import Goal, LongTermGoal, Op, Result

N = 3
KEY = jax.random.key(0)
GRASS, TREE, WATER, DIAMOND = (
    MATERIALS.index(name) for name in ("grass", "tree", "water", "diamond")
)


def decision(**fields):
    one = jax.tree.map(lambda x: x[0], damcs.no_decision(1))
    return one._replace(**{name: jnp.int32(value) for name, value in fields.items()})


class Small:
    """A team on small maps, whose programs all tests share."""

    def __init__(self):
        self.env = envs.MultiAgentCrafter(num_agents=N, size=16, chunk=8, time_limit=300)
        self.team = damcs.team(self.env)
        self.step = jax.jit(self._step)
        self.reset = jax.jit(self.env.reset)
        self.act = jax.jit(self.team.act)

    def _step(self, key, play, options):
        return damcs.step_play(key, play, self.team, options)

    def play(self, terrain, present=N, steps=120, **changes):
        """The plays after every step on a map without cows."""
        state, _ = self.reset(KEY)
        world = state.world
        cows = world.cows._replace(health=np.zeros_like(world.cows.health))
        world = world._replace(
            terrain=np.asarray(terrain, np.int8), cows=cows, alive=np.arange(N) < present
        )
        state = state._replace(world=world)
        observation = jax.jit(self.env.observe)(world, state.params, state.step_count)
        no = np.zeros((), bool)
        play = damcs.Play(state, observation, self.team.init(), no, np.int32(0), no)
        options = jax.tree.map(jnp.asarray, self.team.options._replace(**changes))
        plays = []
        for time in range(steps):
            play = self.step(jax.random.fold_in(KEY, time), play, options)
            plays.append(play)
            if bool(play.over):
                break
        return plays


@pytest.fixture(scope="module")
def small():
    return Small()


def rich_map():
    """Everything a diamond takes, some steps from the start."""
    terrain = np.full((16, 16), GRASS)
    terrain[3, 3:13] = terrain[4, 3:13] = TREE
    terrain[12, 2:14] = MATERIALS.index("stone")
    for column, name in ((3, "coal"), (7, "iron"), (12, "diamond")):
        terrain[13, column] = MATERIALS.index(name)
    terrain[8, 0] = WATER
    return terrain


def test_the_graph_links_steps_to_goals_and_never_to_what_was_overwritten():
    add, parent_slot = jax.jit(damcs.add_experience), jax.jit(damcs.parent_slot)
    graph, rng = damcs.empty_graph(7), np.random.default_rng(0)
    nodes, last = {}, {}  # serial -> node, as a dict would hold them
    for time in range(40):
        made = decision(long_term=rng.integers(2), goal=rng.integers(3), op=rng.integers(4))
        items = np.zeros(16, np.int32)
        items[5] = time // 9
        graph = jax.device_get(add(graph, made, np.int32(1), items, np.int32(time)))
        digest = int(damcs.digest_of(jnp.asarray(items)))
        kept = {s for s in nodes if s > len(nodes) - 7}
        long, goal = last.get(0), last.get(1)
        same_long = long in kept and nodes[long]["label"] == int(made.long_term)
        same_goal = same_long and goal in kept and nodes[goal]["label"] == int(made.goal)
        same_goal = same_goal and nodes[goal]["digest"] == digest
        for kind, label, needed in (
            (0, made.long_term, not same_long),
            (1, made.goal, not same_goal),
            (2, made.op, True),
        ):
            if needed:
                serial = len(nodes) + 1
                nodes[serial] = {
                    "kind": kind, "label": int(label), "digest": digest, "time": time,
                    "parent": last.get(kind - 1, 0), "previous": last.get(kind, 0),
                }  # fmt: skip
                last[kind] = serial
        count = int(graph.count)
        assert count == len(nodes)
        for serial in range(max(1, count - 6), count + 1):
            slot = (serial - 1) % 7
            for field, value in nodes[serial].items():
                assert int(getattr(graph, field)[slot]) == value, field
        parents = parent_slot(graph)
        for slot, parent in enumerate(np.asarray(parents)):
            if parent >= 0:
                assert int(graph.serial[parent]) == int(graph.parent[slot])
                assert int(graph.kind[parent]) == int(graph.kind[slot]) - 1
    before = graph
    graph = add(graph, made, np.int32(1), items, np.int32(99), active=np.zeros((), bool))
    jax.tree.map(np.testing.assert_array_equal, graph, before)


def test_failures_count_blocked_ways_by_material():
    graph, add = damcs.empty_graph(16), jax.jit(damcs.add_experience)
    for material, result in ((6, 3), (6, 3), (9, 2), (9, 3)):
        made = decision(op=Op.NAVIGATE, material=material)
        graph = add(graph, made, np.int32(result), np.zeros(16, np.int32), np.int32(material))
    found = damcs.failures(graph, int(Op.NAVIGATE), int(Result.BLOCKED), jnp.int32(0), 14)
    assert found.tolist() == [0] * 6 + [2, 0, 0, 1] + [0] * 4
    late = damcs.failures(graph, int(Op.NAVIGATE), int(Result.BLOCKED), jnp.int32(7), 14)
    assert late.tolist() == [0] * 9 + [1] + [0] * 4


def test_semantic_memory_reads_the_recipes():
    table = damcs.requirements(crafter.rules_of(crafter.TEAM_RECIPES))
    items = np.zeros(16, np.int32)
    items[[ITEMS.index("wood"), ITEMS.index("stone")]] = 1, 3
    lacks = damcs.missing(table, jnp.int32(LongTermGoal.IRON_PICKAXE), items)
    named = {ITEMS[i]: int(lacks[i]) for i in np.flatnonzero(lacks)}
    assert named == {"stone": 1, "coal": 1, "iron": 1, "stone_pickaxe": 1}


def message():
    items = jnp.arange(N * 16, dtype=jnp.int32).reshape(N, 16)
    ids = jnp.arange(N, dtype=jnp.int32)
    return damcs.Message(ids, ids + 1, items, items + 1, ids * 0 + 5)


def test_masks_decide_which_fields_cross_and_only_deciding_agents_send():
    kind = damcs.MessageKind(fields=(True, False, True, False))
    decided = jnp.array([True, False, True])
    got = damcs.post(KEY, damcs.no_messages(N), message(), decided, kind)
    assert got.long_term.tolist() == [0, -1, 2]
    assert got.goal.tolist() == [-1] * N
    np.testing.assert_array_equal(got.missing[jnp.array([0, 2])], message().missing[::2])
    assert not np.asarray(got.missing[1]).any()
    assert not np.asarray(got.have).any()
    assert got.time.tolist() == [5, -1, 5]
    silent = damcs.post(KEY, damcs.no_messages(N), message(), decided, damcs.MESSAGE_KINDS["none"])
    jax.tree.map(np.testing.assert_array_equal, silent, damcs.no_messages(N))


def test_shuffling_permutes_contents_among_senders():
    kind, senders = damcs.MESSAGE_KINDS["shuffled"], jnp.ones(N, bool)
    got = damcs.post(jax.random.key(3), damcs.no_messages(N), message(), senders, kind)
    for field, want in zip(got, message(), strict=True):
        np.testing.assert_array_equal(np.sort(field, axis=0), np.sort(want, axis=0))
    assert got.missing.tolist() != message().missing.tolist()


def test_bytes_are_counted_per_receiver_and_history_is_longer():
    decided, alive = jnp.array([True, True, False]), jnp.array([True, False, True])
    experiences = jnp.array([10, 20, 30])
    kinds = damcs.MESSAGE_KINDS
    one = damcs.bytes_sent(decided, alive, experiences, kinds["structured"])
    assert float(one) == 34.0  # the second sender is dead, one receiver is left
    assert float(damcs.bytes_sent(decided, alive, experiences, kinds["none"])) == 0.0
    history = damcs.bytes_sent(decided, alive, experiences, kinds["history"])
    assert float(history) == 34.0 + 10 * damcs.RECORD_BYTES


def test_answers_and_decisions_are_one_to_one():
    total = damcs.num_decisions(N)
    made = damcs.decision_of(np.arange(total), N)
    assert len(set(zip(*(np.asarray(x).tolist() for x in made[2:]), strict=True))) == total
    assert len({damcs.describe(answer, N) for answer in range(total)}) == total
    assert (len(Op), len(Goal), len(LongTermGoal)) == (15, 11, 7)


@pytest.mark.slow
def test_a_team_gets_the_diamond_and_agents_decide_only_when_done(small):
    plays = small.play(rich_map(), steps=250)
    assert bool(plays[-1].diamond)
    counts = np.array([int(play.memory.decisions) for play in plays])
    assert counts[-1] < 0.6 * N * len(plays)
    running = np.stack([np.asarray(play.memory.result) == Result.RUNNING for play in plays])
    since = np.stack([np.asarray(play.memory.since) for play in plays])
    assert running.any()
    assert (np.diff(since, axis=0) >= 0).all()


@pytest.mark.slow
def test_one_agent_alone_gets_the_diamond_in_a_program_for_three(small):
    plays = small.play(rich_map(), present=1, steps=299, size=1, known_map=True)
    assert bool(plays[-1].diamond)
    assert float(plays[-1].memory.bytes) == 0.0  # there is no one to receive
    position = np.asarray(plays[-1].state.world.position)
    np.testing.assert_array_equal(position[1:], small.env.start_cells[1:])


@pytest.mark.slow
def test_what_agents_have_not_seen_has_no_influence(small):
    """The map beyond the views is replaced: the first action stays the same."""
    state, timestep = small.reset(KEY)
    other = np.full((16, 16), DIAMOND, np.int8)
    options = jax.tree.map(jnp.asarray, small.team.options)
    start = small.team.init()
    seen = small.env.seen(state.world)
    memory, action = small.act(KEY, start, timestep.observation, seen, options)
    again, same = small.act(KEY, start, timestep.observation, other, options)
    np.testing.assert_array_equal(action, same)
    np.testing.assert_array_equal(memory.belief, again.belief)
    known = (np.asarray(memory.belief) > 0).sum(axis=(1, 2))
    assert (known <= 63).all()


@pytest.mark.slow
def test_without_memory_only_the_view_is_known(small):
    plays = small.play(rich_map(), steps=12, memory=False)
    assert int(np.asarray(plays[-1].memory.graph.count).sum()) == 0
    assert ((np.asarray(plays[-1].memory.belief) > 0).sum(axis=(1, 2)) <= 63).all()
    kept = small.play(rich_map(), steps=12)
    assert (np.asarray(kept[-1].memory.belief) > 0).sum() > 3 * 63


@pytest.mark.slow
def test_a_history_shows_the_cells_around_its_positions_alone(small):
    plays = small.play(rich_map(), steps=12, messages=damcs.MESSAGE_KINDS["history"])
    memory = plays[-1].memory
    published, seen = np.asarray(memory.published), np.asarray(memory.belief) != 0
    assert (published.sum(axis=(1, 2)) >= 63).all()
    assert not (published & ~seen).any()
    silent = small.play(rich_map(), steps=12)
    assert not np.asarray(silent[-1].memory.published).any()


@pytest.mark.slow
def test_an_episode_does_not_depend_on_those_beside_it():
    """Five episodes at once, and two at a time; one without agents is over at once."""
    team = damcs.team(envs.MultiAgentCrafter(num_agents=N, size=16, chunk=8, time_limit=30))
    keys, present = jax.random.split(KEY, 5), np.array([3, 0, 2, 3, 1])
    at_once = damcs.episodes_of(team, chunk=7)(keys, team.options, present)
    pairs = damcs.episodes_of(team, chunk=7, num_worlds=2)
    in_turn, film = pairs(keys, team.options, present, watch=3)
    jax.tree.map(np.testing.assert_array_equal, in_turn, at_once)
    assert at_once.num_alive.tolist() == present.tolist()
    assert film.goal.shape == (30, N)
    assert film.step.tolist() == [0, 7, 14, 21, 28, 30]


@pytest.mark.slow
def test_a_text_policy_retries_then_does_nothing_and_can_be_replayed(small):
    asked = []

    def ask(call):
        asked.append(call)
        assert "Answer with the number of one decision." in call["prompt"]
        assert "truth" not in call
        good = call["worker"] == 0 or (call["worker"] == 1 and call["event"] % 2)
        return {"answer": 11 if good else damcs.num_decisions(N)}

    recording = coordination.Recording()
    got = damcs.play_text(KEY, small.team, ask, steps=1, recording=recording)
    assert (got.calls, got.retried, got.invalid) == (5, 2, 1)
    assert got.decisions == {damcs.describe(11, N): 2, "noop": 1}
    assert [call["event"] for call in asked] == [0, 0, 0, 1, 1]
    again = damcs.play_text(KEY, small.team, None, steps=1, recording=recording)
    assert again == got


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda env: damcs.team(3), "env: expected a MultiAgentCrafter"),
        (lambda env: damcs.team(env, messages="shout"), "messages"),
        (lambda env: damcs.team(env, memory=1), "memory: expected True or False"),
        (lambda env: damcs.team(env, capacity=2), "capacity: expected"),
        (lambda env: damcs.team(env, decide=3), "decide: expected a function"),
        (lambda env: damcs.empty_graph(2), "capacity: expected"),
        (lambda env: damcs.no_messages(0), "num_agents: expected"),
        (lambda env: damcs.num_decisions(0), "num_agents: expected"),
        (lambda env: damcs.decision_of(999, 2), "answer: expected whole numbers in"),
        (lambda env: damcs.requirements(3), "rules: expected a Rules"),
        (lambda env: damcs.episodes_of(3), "team: expected a Team"),
        (lambda env: damcs.episodes_of(damcs.team(env), num_worlds=0), "num_worlds: expected"),
        (lambda env: damcs.play_text(KEY, 3, None), "team: expected a Team"),
        (lambda env: damcs.play_text(KEY, damcs.team(env), 3), "ask: expected a function"),
        (lambda env: damcs.prompt_of(3, 2), "knowledge: expected a Knowledge"),
        (
            lambda env: damcs.team(env, known_map=True).act(KEY, damcs.team(env).init(), None),
            "seen: expected",
        ),
    ],
)
def test_wrong_arguments_are_named(small, call, message):
    with pytest.raises(ValueError, match=message):
        call(small.env)


def test_views_of_features_are_refused():
    env = envs.MultiAgentCrafter(num_agents=2, size=16, chunk=8, as_features=True)
    with pytest.raises(ValueError, match="env: expected views of codes"):
        damcs.team(env)
