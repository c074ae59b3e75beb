"""Theatre: the planner against an exhaustive search, the narrator against a plain one, refusals."""

import functools
import os
from collections import deque

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import envs
from jaxswarm.envs import theatre

STAGE = theatre.default_stage(2, 2, 2, 2)


def successors(stage, state, cast):
    for i in np.flatnonzero(cast):
        for m in range(stage.num_acts):
            needs = stage.requires[i, m]
            if stage.exists[i, m] and (state[needs] == stage.required[i, m][needs]).all():
                yield (int(i), m), np.where(stage.changes[i, m], stage.results[i, m], state)


def shortest(stage, start, goal, cast, limit=10**6):
    """Length of the shortest plan by breadth-first search, None if there is none."""
    seen, queue = {start.tobytes()}, deque([(start, 0)])
    while queue:
        state, depth = queue.popleft()
        if state[goal].all():
            return depth
        for _, after in successors(stage, state, cast):
            if after.tobytes() not in seen:
                seen.add(after.tobytes())
                queue.append((after, depth + 1))
        assert len(seen) < limit
    return None


def small_case(seed):
    """A tiny stage, a start, a goal of one to three random facts, and a cast."""
    rng = np.random.default_rng(seed)
    stage = tiny(int(rng.integers(2)))
    start = theatre.draw_start(rng, stage)
    goal = np.zeros(stage.num_facts, bool)
    goal[rng.choice(stage.num_facts, rng.integers(1, 4), replace=False)] = True
    cast = np.ones(stage.num_actors, bool)
    if rng.random() < 0.3:
        cast[rng.integers(stage.num_actors)] = False
    return stage, start, goal, cast


@functools.cache
def tiny(seed):
    return theatre.default_stage(2, 2, 1, 1, seed=seed)


def test_a_plan_exists_exactly_where_an_exhaustive_search_finds_one():
    found = [0, 0]
    for seed in range(40):
        stage, start, goal, cast = small_case(seed)
        best = shortest(stage, start, goal, cast)
        plan = theatre.plan(stage, start, goal, cast=cast)
        assert (plan is None) == (best is None), seed
        found[plan is not None] += 1
        if plan is None:
            continue
        assert len(plan.acts) >= best
        state = start
        for (i, m), after, subgoal in zip(plan.acts, plan.states[1:], plan.subgoals, strict=False):
            assert cast[i]
            assert state[subgoal].all()
            options = dict(successors(stage, state, cast))
            assert (options[i, m] == after).all()
            state = after
        assert state[goal].all()
    assert min(found) > 5


@pytest.mark.slow
def test_a_plan_exists_exactly_where_fast_downward_finds_one():
    """Each case takes about a second; ``JAXSWARM_PLANNING_CASES=200`` compares as many."""
    shortcuts = pytest.importorskip("unified_planning.shortcuts")
    pytest.importorskip("up_fast_downward")
    shortcuts.get_environment().credits_stream = None
    for seed in range(int(os.environ.get("JAXSWARM_PLANNING_CASES", "100"))):
        stage, start, goal, cast = small_case(10_000 + seed)
        problem = shortcuts.Problem(f"p{seed}")
        fluents = [
            problem.add_fluent(f"f{k}", default_initial_value=bool(start[k]))
            for k in range(stage.num_facts)
        ]
        for i in np.flatnonzero(cast):
            for m in np.flatnonzero(stage.exists[i]):
                act = shortcuts.InstantaneousAction(f"a{i}x{m}")
                for f in np.flatnonzero(stage.requires[i, m]):
                    fact = fluents[f]
                    act.add_precondition(fact if stage.required[i, m, f] else shortcuts.Not(fact))
                for f in np.flatnonzero(stage.changes[i, m]):
                    act.add_effect(fluents[f], bool(stage.results[i, m, f]))
                problem.add_action(act)
        for f in np.flatnonzero(goal):
            problem.add_goal(fluents[f])
        with shortcuts.OneshotPlanner(name="fast-downward") as planner:
            theirs = planner.solve(problem)
        ours = theatre.plan(stage, start, goal, cast=cast)
        assert (theirs.plan is not None) == (ours is not None), seed


@functools.cache
def narrator():
    return jax.jit(lambda *x: theatre.narrate(STAGE, *x))


def moments(seed, steps=30):
    """Random moments of a play: arguments of the narrator and what it returned."""
    rng = np.random.default_rng(seed)
    facts = theatre.draw_start(rng, STAGE)
    beliefs = np.stack([theatre.draw_start(rng, STAGE) for _ in range(2)])
    for _ in range(steps):
        present = rng.random(2) < 0.8
        acts = rng.integers(-1, STAGE.num_acts + 2, 2).astype(np.int32)
        for i in range(2):  # possible acts are rare among random ones
            own = [m for (j, m), _ in successors(STAGE, facts, [True, True]) if j == i]
            if own and rng.random() < 0.7:
                acts[i] = 1 + rng.choice(own)
        order = rng.permutation(2).astype(np.int32)
        reach = np.int32(rng.integers(3))
        outcome = narrator()(facts, beliefs, present, acts, order, reach)
        yield facts, beliefs, present, acts, order, reach, outcome
        facts, beliefs = np.asarray(outcome.facts), np.asarray(outcome.beliefs)


def test_the_narrator_allows_what_is_possible_and_changes_nothing_else():
    succeeded = 0
    for facts, _, present, acts, order, _, outcome in moments(0, 60):
        state = facts
        for i in order:
            possible = {m + 1: s for (j, m), s in successors(STAGE, state, present) if j == i}
            fine = acts[i] in possible and (possible[acts[i]] != state).any()
            assert bool(outcome.succeeded[i]) == fine
            state = possible[acts[i]] if fine else state
            succeeded += fine
        assert (state == np.asarray(outcome.facts)).all()
        STAGE.check_state(np.asarray(outcome.facts))
    assert succeeded > 20


def test_beliefs_change_by_broadcasts_alone_and_to_what_is_true():
    changed = 0
    for _, beliefs, present, acts, _, reach, outcome in moments(1, 60):
        after = np.asarray(outcome.beliefs)
        new = after != beliefs
        changed += new.sum()
        assert not new[~present].any()
        if reach == theatre.NONE or not np.asarray(outcome.attempted).any():
            assert not new.any()
        if reach == theatre.ITSELF:
            assert not new[acts == 0].any()
        one_act = (acts != 0).sum() == 1
        if one_act:  # with several acts a belief may be overtaken in the same moment
            assert (after == np.asarray(outcome.facts)[None])[new].all()
    assert changed > 20


def test_permuting_the_actors_permutes_what_happens():
    swapped = theatre.default_stage(2, 2, 2, 2)
    names = dict(zip(STAGE.actors, STAGE.actors[::-1], strict=True))
    fact_order = [swapped.facts.index(tuple(names.get(x, x) for x in fact)) for fact in STAGE.facts]
    texts = [[t.replace("Ada", "X").replace("Bruno", "Ada").replace("X", "Bruno") for t in row]
             for row in STAGE.texts]  # fmt: skip
    for facts, beliefs, present, acts, order, reach, outcome in moments(2):
        mapped = np.zeros_like(facts)
        mapped[fact_order] = facts
        believed = np.zeros_like(beliefs)
        believed[:, fact_order] = beliefs[::-1]
        other = acts[::-1].copy()
        for i in range(2):
            if 1 <= other[i] <= STAGE.num_acts:
                other[i] = 1 + STAGE.texts[i].index(texts[1 - i][other[i] - 1])
        then = narrator()(mapped, believed, present[::-1].copy(), other, 1 - order, reach)
        assert (np.asarray(then.facts)[fact_order] == np.asarray(outcome.facts)).all()
        assert (np.asarray(then.succeeded)[::-1] == np.asarray(outcome.succeeded)).all()


def test_a_relaxed_plan_is_no_longer_than_a_real_one_and_starts_it():
    verbs = theatre.tables(tiny(0))
    relaxed = jax.jit(lambda *x: theatre.relaxed_plan(verbs, *x, 8))
    for seed in range(60):
        stage, start, goal, cast = small_case(seed)
        if stage is not tiny(0):
            continue
        plan = theatre.plan(stage, start, goal, cast=cast)
        found = relaxed(start, goal, cast)
        levels = theatre.relaxed_levels(stage, start, cast=cast)[goal]
        reached = np.where(levels < 0, 9, levels)
        if (stage.requires & ~stage.required).any(axis=(0, 1))[goal].any():
            continue  # the arrays ignore that a fact must not hold, the host does not
        assert int(found.distance) <= reached.sum()
        assert (int(found.distance) == 0) == bool(start[goal].all())
        if plan is not None and plan.acts:
            assert bool(found.helpful.any())


def test_leaving_actors_put_down_what_they_hold():
    leave = jax.jit(lambda f, who: theatre.leave(STAGE, f, who))
    rng = np.random.default_rng(0)
    for _ in range(20):
        facts = theatre.draw_start(rng, STAGE)
        prop = rng.integers(2)
        facts[STAGE.inside[prop]] = False
        facts[STAGE.holds[rng.integers(2), prop]] = True
        who = rng.random(2) < 0.5
        after = np.asarray(leave(facts, who))
        STAGE.check_state(after)
        assert not after[STAGE.holds[who]].any()
        assert (after == theatre.blueprints.with_exits(STAGE, facts, who)).all()


def test_a_reviewer_sends_back_what_the_planner_cannot_reach():
    stage = theatre.default_stage()
    faulty = 0
    for seed in range(8):
        first = theatre.write(np.random.default_rng(seed), stage, reviewer=False)
        made = theatre.write(np.random.default_rng(seed), stage)
        assert made.reviews[-1].accepted
        theatre.check_blueprint(stage, made.blueprint)
        faulty += not first.reviews[0].reachable.all()
        assert (len(made.reviews) == 1) == first.reviews[0].accepted
    assert faulty
    contradictory = made.blueprint._replace(flags=made.blueprint.flags | stage.groups[0])
    assert "contradiction" in theatre.review(stage, contradictory).faults


def test_points_are_reached_in_order_and_the_last_one_ends_the_episode():
    stage = tiny(0)
    start = [("at", "Ada", "hall"), ("at", "Bruno", "hall"), ("in", "letter", "hall"),
             ("is", "letter", "intact")]  # fmt: skip
    second, first = [("at", "Ada", "garden")], [("holds", "Ada", "letter")]
    points = [theatre.Point(second), theatre.Point(first)]
    play = theatre.blueprint(stage, start, points, after=[(0, 1)])
    env = envs.Theatre(2, stage, [play])
    step = jax.jit(env.step)
    state, _ = jax.jit(env.reset)(jax.random.key(0))
    texts = stage.texts[0]
    take = 1 + texts.index("Ada takes the letter in the hall")
    go = 1 + texts.index("Ada goes to the garden")
    state, timestep = step(state, jnp.array([take, 0]))
    assert int(state.world.point) == 1
    assert timestep.reward.tolist() == [1.0, 1.0]
    state, timestep = step(state, jnp.array([go, 99]))
    assert bool(timestep.last())
    assert timestep.discount.tolist() == [0.0, 0.0]


HERE, THERE = ("at", "Ada", "hall"), ("at", "Ada", "garden")
START = [HERE, ("at", "Bruno", "hall"), ("in", "letter", "hall"), ("is", "letter", "intact")]


def verb(requires, effects, actor="Ada"):
    return theatre.Verb("does it", actor, requires, effects)


def build(*verbs, actors=("Ada",)):
    return theatre.build_stage(list(actors), ["hall", "garden"], [], verbs=list(verbs))


def play(start=START, points=([THERE],), **options):
    made = [p if isinstance(p, theatre.Point) else theatre.Point(p) for p in points]
    return theatre.blueprint(tiny(0), start, made, **options)


RNG = np.random.default_rng(0)
BEGIN = theatre.draw_start(RNG, STAGE)

REFUSED = {
    "empty cast": (lambda: build(actors=()), "actors: expected at least one"),
    "unknown actor": (lambda: build(verb({}, {}, "Eve")), "verbs: expected an actor"),
    "unknown fact": (lambda: build(verb({("at", "Ada", "moon"): True}, {})), "expected a fact"),
    "contradictory effects": (
        lambda: build(verb({HERE: True}, [(THERE, True), (THERE, False)])),
        "contradictory",
    ),
    "two places": (lambda: build(verb({HERE: True}, {THERE: True})), "contradictory effects"),
    "no place": (lambda: build(verb({HERE: True}, {HERE: False})), "contradictory effects"),
    "prop in two places": (
        lambda: play([*START, ("in", "letter", "garden")]),
        "start: expected exactly one of",
    ),
    "unreachable": (
        lambda: play(points=[theatre.Point([("at", "Bruno", "garden")], cast=["Ada"]),
                             theatre.Point([HERE])]),
        "unreachable",
    ),
    "contradictory flag": (lambda: play(points=[[HERE, THERE]]), "contradictory"),
    "empty scene": (
        lambda: play(points=[theatre.Point([THERE], cast=[]), theatre.Point([HERE])]),
        "empty cast",
    ),
    "actor in no scene": (
        lambda: play(points=[theatre.Point([THERE], cast=["Ada"])]), "Bruno in no scene",
    ),
    "cycle": (lambda: play(points=[[THERE], [HERE]], after=[(0, 1), (1, 0)]), "cycle"),
    "no points": (lambda: play(points=[]), "points: expected at least one"),
    "unknown cast": (lambda: play(points=[theatre.Point([THERE], cast=["Eve"])]), "an actor of"),
    "designer": (lambda: theatre.draft(RNG, STAGE, designer="sideways"), "design"),
    "rng": (lambda: theatre.draft(3, STAGE), "rng"),
    "stage of others": (lambda: envs.Theatre(3, STAGE), "stage: expected 3 actors, got 2"),
    "plays": (lambda: envs.Theatre(2, STAGE, []), "plays: expected a list"),
    "goal": (lambda: theatre.plan(STAGE, BEGIN, [1]), "goal"),
    "limit": (lambda: theatre.plan(STAGE, BEGIN, STAGE.bits([]), limit=0), "limit"),
    "sizes": (lambda: theatre.default_stage(2, 1), "num_places"),
    "depth": (lambda: theatre.relaxed_plan(theatre.tables(STAGE), *3 * [None], 0), "depth"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_staged_is_refused(name):
    function, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        function()
