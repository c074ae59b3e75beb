"""SwarmBench: equal to a slow reference round by round, and rules of pushing and messages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from swarmbench_oracle import Oracle

from jaxswarm import envs
from jaxswarm.envs import grid, swarmbench
from jaxswarm.envs.swarmbench import SwarmBenchParams

OPTIONS = {
    "pursuit": {"num_agents": 8, "size": 7},
    "synchronization": {"num_agents": 8, "size": 7},
    "foraging": {"num_agents": 8, "size": 9},
    "flocking": {"num_agents": 7, "size": 8},
    "transport": {"num_agents": 12, "size": 8},
}
ROUNDS, SEEDS = 100, 3


def herd(key, rounds, n, actions):
    """Random actions that often agree, so that pushing happens; ``int32[T, N]``."""
    common, own, agree = jax.random.split(key, 3)
    shared = jnp.repeat(jax.random.randint(common, (rounds // 5,), 0, 4), 5)
    each = jax.random.randint(own, (rounds, n), 0, actions)
    follow = jax.random.bernoulli(agree, 0.7, (rounds, n))
    return jnp.where(follow, shared[:, None], each)


SLOW = set(swarmbench.TASKS) - {"synchronization"}


@pytest.mark.parametrize(
    "task", [pytest.param(x, marks=pytest.mark.slow) if x in SLOW else x for x in swarmbench.TASKS]
)
def test_every_round_equals_the_slow_reference(task):
    env = swarmbench.make(task, **OPTIONS[task], time_limit=ROUNDS)

    def episode(key):
        reset_key, action_key = jax.random.split(key)
        start, _ = env.reset(reset_key)
        if task == "foraging":  # otherwise few agents find both
            carrying = jnp.arange(env.num_agents) % 2 == 0
            start = start._replace(world=start.world._replace(marked=carrying))
        actions = herd(action_key, ROUNDS, env.num_agents, env.num_actions)

        def step(state, action):
            after, timestep = env.step(state, action)
            return after, (state.key, after.world, timestep.extras["score"])

        return start, actions, jax.lax.scan(step, start, actions)[1]

    keys = jax.random.split(jax.random.key(3), SEEDS)
    starts, actions, (step_keys, worlds, scores) = jax.jit(jax.vmap(episode))(keys)
    total = 0.0
    for seed in range(SEEDS):
        start = jax.tree.map(lambda x, seed=seed: x[seed], starts).world
        known = {}
        if task == "pursuit":
            known["prey"] = np.asarray(start.task.prey)
        if task == "transport":
            known["box"] = np.argwhere(np.asarray(env.cells(start)) == 5)
        oracle = Oracle(task, start.terrain, start.position, start.marked, ROUNDS, **known)
        count = env.shape[0] * env.shape[1]
        acts, positions = np.asarray(actions[seed]), np.asarray(worlds.position[seed])
        present, marked = np.asarray(worlds.present[seed]), np.asarray(worlds.marked[seed])
        for t in range(ROUNDS):

            def draws(free, t=t, seed=seed, count=count, step_keys=step_keys):
                draw = jax.random.split(step_keys[seed, t])[1]
                return np.asarray(jax.random.randint(draw, (count,), 1, free + 1)) - 1

            oracle.step(acts[t].tolist(), draws)
            assert positions[t].tolist() == [list(c) for c in oracle.position], f"round {t}"
            assert present[t].tolist() == oracle.present
            assert marked[t].tolist() == oracle.marked
            assert float(scores[seed, t]) == pytest.approx(oracle.score, abs=1e-4)
            if task == "pursuit":
                assert worlds.task.prey[seed, t].tolist() == list(oracle.prey)
            if task == "transport" and any(map(oracle.inside, oracle.box)):
                world = jax.tree.map(lambda x, t=t, seed=seed: x[seed, t], worlds)
                where = np.asarray(env._body(world).cells)
                assert {(i - 6, j - 6) for i, j in np.argwhere(where).tolist()} == oracle.box
        total += oracle.score
    assert total > 0 or task == "transport"


SHAPED = ("synchronization",)


@pytest.mark.parametrize(
    "task",
    [x if x in SHAPED else pytest.param(x, marks=pytest.mark.slow) for x in swarmbench.TASKS],
)
def test_shaping_adds_what_depends_on_the_ends_alone(task):
    """Discounted returns of agents differ by ``γ^T Φ(s_T) - Φ(s_0)``, whatever happens between."""
    env = swarmbench.make(task, **OPTIONS[task], time_limit=ROUNDS)
    discount, rounds = 0.9, 25

    def play(key, shaping):
        reset_key, action_key = jax.random.split(key)
        params = SwarmBenchParams(1_000, 1.0, shaping, discount)
        start, _ = env.reset(reset_key, params)
        actions = herd(action_key, rounds, env.num_agents, env.num_actions)

        def step(state, action):
            after, timestep = env.step(state, action)
            return after, (timestep.reward, timestep.discount)

        end, (reward, goes_on) = jax.lax.scan(step, start, actions)
        total = discount ** jnp.arange(rounds) @ reward
        ahead = jnp.where(goes_on[-1] > 0, env._potential(end.world), 0.0)
        return total, discount**rounds * ahead - env._potential(start.world), goes_on

    play = jax.jit(jax.vmap(play, (0, None)))
    keys = jax.random.split(jax.random.key(5), 4)
    plain, added, goes_on = play(keys, jnp.float32(0.0))
    shaped, _, _ = play(keys, jnp.float32(1.0))
    stays = np.asarray(jnp.all(goes_on > 0, axis=1))  # an agent that leaves has its end earlier
    assert stays.any()
    np.testing.assert_allclose((shaped - plain)[stays], added[stays], atol=2e-4)
    assert np.abs(added).max() > 0.01


def test_shaping_leaves_the_order_of_policies_in_synchronization():
    n, rounds = 6, 20
    env = swarmbench.make("synchronization", num_agents=n, size=7, time_limit=rounds)
    start, _ = jax.jit(env.reset)(jax.random.key(0))
    start = start._replace(world=start.world._replace(marked=jnp.zeros(n, bool)))
    stay, switch = 4, 5
    ids, now = np.arange(n)[None], np.arange(rounds)[:, None]
    late = np.where(now % 2 == 0, ids < n - 1, ids == n - 1)  # all but one, then that one
    policies = {
        "all": np.full((rounds, n), switch),
        "late": np.where(late, switch, stay),
        "once": np.where(now == 0, switch, stay) + 0 * ids,
        "one": np.where((ids == 0) & (now == 0), switch, stay),
    }

    @jax.jit
    def play(actions, shaping):
        state = start._replace(params=start.params._replace(shaping=shaping))
        _, (reward, score) = jax.lax.scan(
            lambda state, action: (lambda s, t: (s, (t.reward[0], t.extras["score"])))(
                *env.step(state, action)
            ),
            state,
            actions,
        )
        return jnp.sum(reward), score[-1]

    scores = {name: float(play(a, jnp.float32(0.0))[1]) for name, a in policies.items()}
    shaped = {name: float(play(a, jnp.float32(1.0))[0]) for name, a in policies.items()}
    assert scores["all"] == rounds
    assert scores["late"] == rounds / 2
    assert scores["once"] == 1.0
    assert scores["one"] == 0.0
    assert sorted(scores, key=scores.get) == sorted(shaped, key=shaped.get)
    assert shaped["all"] > shaped["late"] + 5


@jax.jit
def pushed(net, loose, static, body):
    return grid.push(net, loose, static, 3, body, 5)


def line(text):
    """One row: digits are forces of agents (2 pushes right), ``-`` opposes, ``B`` a box."""
    loose = np.array([[c in "02-" for c in text]])
    net = np.array([[{"2": 1, "0": -1, "-": -3}.get(c, 0) for c in text]])
    static, body = (np.array([[c == x for c in text]]) for x in "#B")
    moves, shifts = pushed(net, loose, static, body)
    return "".join("x" if m else "." for m in np.asarray(moves)[0]), bool(shifts)


@pytest.mark.parametrize(
    ("row", "moves", "shifts"),
    [
        (".2.", ".x.", False),
        (".20.", ".xx.", False),  # one pushes one
        (".200.", ".....", False),
        (".2200.", ".xxxx.", False),
        (".0220.", "..xxx.", False),  # the idle one behind stays
        (".2#", "...", False),
        (".22-.", ".....", False),
        (".222-.", ".xxxx.", False),
        ("22222B.", "xxxxx..", True),  # five push the box
        (".2222B.", ".......", False),  # four do not
        ("22222B#", ".......", False),
        ("22222B0.", "........", False),  # agents in front must be pushed too
        ("222222B0.", "xxxxxx.x.", True),
        ("22222B2.", "xxxxx.x.", True),
        (".2222B2.", "......x.", False),
        ("022222B.", ".xxxxx..", True),
    ],
)
def test_pushing_in_a_row(row, moves, shifts):
    assert line(row) == (moves, shifts)


@pytest.mark.slow
def test_five_agents_push_the_box_and_four_do_not(key):
    with pytest.warns(UserWarning, match="cannot push"):
        swarmbench.make("transport", num_agents=4, size=12)
    env = swarmbench.make("transport", num_agents=5, size=12)
    step = jax.jit(env.step)
    state, _ = jax.jit(env.reset)(key)
    world = state.world
    task = world.task._replace(box=jnp.int32(0))  # lower right, three flat cells on its left
    terrain = jnp.asarray(env.layouts[1][0], jnp.int32)
    spots = jnp.array([[8, 6], [9, 6], [10, 6], [8, 5], [9, 5]])
    state = state._replace(world=world._replace(task=task, terrain=terrain, position=spots))
    for last, shift in ((3, [0, 1]), (4, [0, 0])):
        after, _ = step(state, jnp.full(5, 3).at[4].set(last))
        assert after.world.task.shift.tolist() == shift


@pytest.mark.slow
def test_messages_are_received_within_the_window_and_nowhere_else(key):
    env = swarmbench.make(
        "synchronization", num_agents=3, size=9, view=3, message_length=2, vocabulary=9
    )
    state, _ = jax.jit(env.reset)(key)
    spots = jnp.array([[1, 1], [2, 2], [7, 7]])
    state = state._replace(world=state.world._replace(position=spots))
    stay = jnp.full((3, 1), 4)
    action = jnp.concatenate([stay, jnp.array([[3, 1], [0, 0], [5, 5]])], axis=1)
    step = jax.jit(env.step)
    state, timestep = step(state, action)
    seen = timestep.observation
    assert seen.num_messages.tolist() == [1, 1, 1]  # senders receive their own
    assert seen.inbox[:, 0].tolist() == [[3, 1], [3, 1], [5, 5]]
    assert int(timestep.extras["messages"]) == 2
    dropped = state._replace(params=SwarmBenchParams(communication=jnp.float32(0.0)))
    _, timestep = step(dropped, action)
    assert timestep.observation.num_messages.tolist() == [0, 0, 0]


@pytest.mark.slow
def test_more_messages_than_slots_are_counted(key):
    env = swarmbench.make(
        "synchronization", num_agents=6, size=5, view=9, message_length=1, inbox=2
    )
    state, _ = jax.jit(env.reset)(key)
    action = jnp.stack([jnp.full(6, 4), jnp.arange(6) + 1], axis=1)
    _, timestep = jax.jit(env.step)(state, action)
    assert timestep.observation.num_messages.tolist() == [6] * 6
    assert timestep.observation.inbox[:, :, 0].tolist() == [[1, 2]] * 6


@pytest.mark.slow
def test_a_short_sight_hides_what_is_far(key):
    env = swarmbench.make("foraging", num_agents=6, size=10, view=7)
    _, full = jax.jit(env.reset)(key)
    _, short = env.reset(key, SwarmBenchParams(sight=jnp.int32(1)))
    inner = full.observation.view[:, 2:-2, 2:-2]
    assert jnp.array_equal(inner, short.observation.view[:, 2:-2, 2:-2])
    assert bool((short.observation.view[:, :2] == 10).all())


@pytest.mark.slow
def test_the_round_number_synchronizes_without_messages(key):
    """The reference shows the round; a light that follows its parity scores in every round."""
    env = swarmbench.make("synchronization", num_agents=10, time_limit=50)

    def act(key, seen):
        want = (seen.round + 1) % 2 == 1
        return jnp.where((seen.status[:, 0] > 0) != want, 5, 4)

    _, done = envs.unroll(key, env, envs.scripted(act), 50)
    assert float(done.timestep.extras["score"][-1]) >= 49


def test_distances_are_those_of_a_graph_search(key):
    import networkx as nx

    free = np.array(jax.random.bernoulli(key, 0.7, (9, 11)))
    free[4, 5] = True
    goals = np.zeros_like(free)
    goals[4, 5] = True
    graph = nx.grid_2d_graph(*free.shape)
    graph.remove_nodes_from([tuple(c) for c in np.argwhere(~free)])
    known = nx.single_source_shortest_path_length(graph, (4, 5))
    field = np.asarray(grid.distances(jnp.asarray(free), jnp.asarray(goals)))
    for cell in np.ndindex(*free.shape):
        assert field[cell] == known.get(cell, free.size)


@pytest.mark.slow
def test_measures_of_a_round(key):
    env = swarmbench.make("synchronization", num_agents=4, size=8)
    state, _ = jax.jit(env.reset)(key)
    spots = jnp.array([[2, 2], [2, 3], [5, 5], [5, 6]])
    state = state._replace(world=state.world._replace(position=spots))
    _, timestep = jax.jit(env.step)(
        state, jnp.array([3, 4, 1, 1])
    )  # 0 pushes 1; 2 and 3 move down together
    seen = {k: float(v) for k, v in timestep.extras.items()}
    assert seen["pushes"] == 1
    assert seen["structure"] == 2
    assert seen["moving_distance"] == 1.0
    assert seen["stillness"] == 0.25
    assert seen["dominant_action"] == 0.5
    assert seen["directional_entropy"] == pytest.approx(-(np.log2(1 / 3) + 2 * np.log2(2 / 3)) / 3)
    assert seen["polarization"] == pytest.approx(np.hypot(0.5, 0.25))
    assert seen["explored"] >= 4


@pytest.mark.slow
def test_text_agents_get_their_views_and_their_answers_are_parsed(key):
    env = swarmbench.make(
        "synchronization", num_agents=3, size=6, view=5, message_length=120, time_limit=4
    )
    prompts_by_round = []

    def answers(prompts):
        prompts_by_round.append(prompts)
        replies = []
        for prompt in prompts:
            off = "Your light is off" in prompt
            replies.append(
                f"**ACTION: {'switch' if off else 'STAY'}**\nMSG: I count {len(prompts_by_round)}?"
            )
        return replies

    played = swarmbench.play(
        key, env, swarmbench.text_policy(env, answers), rounds=2, progress=False
    )
    assert played.extras[0]["score"] == 1.0  # all turned on
    assert played.extras[0]["messages"] == 3
    assert "Messages received: I count 1?" in prompts_by_round[1][0]
    assert "Your previous actions: " in prompts_by_round[1][0]
    assert "Round: 1" in prompts_by_round[1][0]
    lines = prompts_by_round[0][1].split("Your view now:\n")[1].splitlines()[:6]
    center = lines[3].split()
    assert center[1 + 2] == "Y"
    assert int(center[0]) == int(played.states[0].world.position[1, 0])


def test_an_answer_that_cannot_be_parsed_means_to_stay():
    assert swarmbench.parse("I will go up").action == 4
    assert swarmbench.parse("ACTION: SWITCH").action == 4
    assert swarmbench.parse("ACTION: SWITCH", can_switch=True).action == 5
    assert swarmbench.parse('action: left\nMSG: "go 1"') == (2, "go 1")
    assert swarmbench.parse("ACTION: UP … no, ACTION: DOWN").action == 1


def test_messages_are_cut_and_measured():
    from jaxswarm.envs.swarmbench.text import decode, encode

    assert decode(encode("x" * 200, 120)) == "x" * 117 + "..."
    assert decode(encode("añb", 120)) == "a?b"
    found = swarmbench.message_statistics(
        ["go 12", "why?"], embed=lambda m: [[1.0, 0.0], [1.0, 1.0]]
    )
    assert found["length_mean"] == 4.5
    assert found["questions"] == 0.5
    assert found["digits"] == pytest.approx(2 / 9)
    assert found["homogeneity"] == pytest.approx(np.sqrt(0.5))


BAD = {
    "task": (lambda: swarmbench.make("dancing"), "unknown task 'dancing'"),
    "view": (lambda: swarmbench.make("pursuit", view=4), "view"),
    "no view": (lambda: swarmbench.make("pursuit", view=-1), "view"),
    "square": (lambda: swarmbench.make("foraging", size=(8, 9)), "square"),
    "small": (lambda: swarmbench.make("transport", size=6), "size"),
    "crowd": (
        lambda: swarmbench.make("synchronization", num_agents=65, size=10),
        "expected at most 64",
    ),
    "few": (lambda: swarmbench.make("flocking", num_agents=3), "num_agents"),
    "many": (lambda: swarmbench.make("flocking", num_agents=65, size=20), "num_agents"),
    "rounds": (lambda: swarmbench.make("pursuit", time_limit=0), "time_limit"),
    "none": (lambda: swarmbench.make("pursuit", num_agents=0), "num_agents"),
    "length": (lambda: swarmbench.make("pursuit", message_length=-1), "message_length"),
    "tokens": (lambda: swarmbench.make("pursuit", vocabulary=1), "vocabulary"),
    "slots": (lambda: swarmbench.make("pursuit", inbox=0), "inbox"),
    "features": (
        lambda: swarmbench.scripted_policy(swarmbench.make("pursuit", as_features=True)),
        "as_features",
    ),
    "cells": (
        lambda: swarmbench.scripted_policy(
            swarmbench.make("pursuit", message_length=1, vocabulary=8)
        ),
        "vocabulary",
    ),
    "characters": (
        lambda: swarmbench.text_policy(
            swarmbench.make("pursuit", message_length=9, vocabulary=64), list
        ),
        "vocabulary",
    ),
    "no rounds": (
        lambda: swarmbench.play(jax.random.key(0), swarmbench.make("pursuit"), None, rounds=0),
        "rounds",
    ),
    "window": (lambda: grid.windows(jnp.zeros((3, 3)), jnp.zeros((1, 2), int), 2, 0), "size"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()
