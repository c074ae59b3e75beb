"""FantasyHSI: motion, grammar, critic, graph and loops, against laws and by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import coordination
from jaxswarm.envs import scenes
from jaxswarm.systems import fantasy_hsi
from tests.later import Later

FAST = {"xla_backend_optimization_level": 0}


def hall():
    """A hall of 24 × 24 cells with a seat, an item and a surface."""
    occupied = np.zeros((24, 24), bool)
    occupied[[0, -1]] = occupied[:, [0, -1]] = True
    occupied[12, 1:12] = True
    occupied[4, 4] = occupied[20, 4] = occupied[20, 20] = True
    return scenes.scene(
        occupied, kind=[0, 1, 2], position=[[0.9, 0.9], [0.9, 4.1], [4.1, 4.1]],
        pose=[[1.3, 0.9, 0.0], [1.3, 4.1, np.pi], [3.7, 4.1, 0.0]],
    )  # fmt: skip


SCENE = Later(hall)
START = np.array([2.5, 1.1, 0.3], np.float32)
EXACT = fantasy_hsi.exact_generator()


def noisy(key, scene, body, verb, offset):
    """The walker with errors of its own."""
    style = fantasy_hsi.draw_style(key, verb, offset)
    pose = fantasy_hsi.pose_of(body)
    local = fantasy_hsi.walk(fantasy_hsi.to_local(pose, body), verb, offset, style)
    return fantasy_hsi.to_world(pose, local)


def broken(key, scene, body, verb, offset):
    """Half of the clips are not finite."""
    frames = EXACT(key, scene, body, verb, offset)
    return jnp.where(jax.random.bernoulli(key), jnp.nan, frames)


def useless(key, scene, body, verb, offset):
    """Stands still whatever is asked for."""
    return jnp.broadcast_to(body[None], (fantasy_hsi.NUM_FRAMES, *body.shape))


@functools.cache
def runner(generate, max_calls=24, retries=2, **parts):
    step = fantasy_hsi.closed_loop(generate, retries=retries, **parts)

    @functools.partial(jax.jit, compiler_options=FAST)
    def run(key, scene, fields, goals, body):
        def call(state, index):
            key_ = jax.random.fold_in(key, index)
            return step(key_, state, scene, fields, goals, jnp.asarray(max_calls))

        begin = fantasy_hsi.start(body, max_calls)
        return jax.lax.scan(call, begin, jnp.arange(max_calls))

    return run


def task():
    scene = SCENE.value
    goals = fantasy_hsi.goals(scene, ("pick", 1), ("place", 2))
    return scene, jax.jit(scenes.fields)(scene), goals, fantasy_hsi.standing(jnp.asarray(START))


WALK = jax.jit(fantasy_hsi.walk)


@pytest.mark.parametrize(
    ("verb", "offset"),
    [("go", (0.8, 0.2, 0.3)), ("turn", (0.0, 0.0, 2.0)), ("sit", (0.0, 0.05, 0.1)),
     ("pick", (0.05, 0.0, 0.0)), ("place", (0.0, 0.0, -0.2))],
)  # fmt: skip
def test_walked_clips_keep_bones_and_reach_their_target(verb, offset):
    body = fantasy_hsi.standing(jnp.zeros(3))
    verb, offset = fantasy_hsi.VERBS.index(verb), jnp.array(offset, jnp.float32)
    frames = np.asarray(WALK(body, verb, offset, fantasy_hsi.exact_style()))
    assert float(fantasy_hsi.bone_error(jnp.asarray(frames))) < 1e-5
    np.testing.assert_allclose(fantasy_hsi.pose_of(jnp.asarray(frames[-1])), offset, atol=1e-4)
    slide = fantasy_hsi.foot_skate(body, jnp.asarray(frames), jnp.asarray(1.0))
    assert float(slide) < 0.05  # feet on the ground stay: only lifting and landing frames count
    lowest = {2: (0.45, 0.55), 3: (0.55, 0.7), 4: (0.55, 0.7)}.get(verb, (0.78, 0.9))
    assert lowest[0] < frames[:, 0, 2].min() < lowest[1]


def test_frames_of_reference_are_inverse_to_each_other(key):
    pose, other, points = jnp.array([1.0, -2.0, 2.5]), jnp.array([0.3, 0.2, -3.0]), jnp.ones((4, 3))
    back = fantasy_hsi.to_world(pose, fantasy_hsi.to_local(pose, points))
    np.testing.assert_allclose(back, points, atol=1e-5)
    there = fantasy_hsi.compose(pose, fantasy_hsi.relative_pose(pose, other))
    np.testing.assert_allclose(there, other, atol=1e-5)
    body = fantasy_hsi.standing(pose)
    np.testing.assert_allclose(fantasy_hsi.pose_of(body), pose, atol=1e-5)


def test_encoding_is_inverted_and_does_not_fix_bones(key):
    frames = jax.random.normal(key, (6, *fantasy_hsi.MOTION_SHAPE))
    scale = fantasy_hsi.motion_scale(frames)
    encoded = fantasy_hsi.encode(scale, frames[0])
    np.testing.assert_allclose(fantasy_hsi.decode(scale, encoded), frames[0], atol=1e-5)
    assert float(fantasy_hsi.bone_error(fantasy_hsi.decode(scale, 2 * encoded))) > 0.1


def test_skate_and_bursts_by_hand():
    body = fantasy_hsi.standing(jnp.array([2.5, 1.1, 0.0]))
    still = jnp.broadcast_to(body[None], fantasy_hsi.MOTION_SHAPE)
    assert float(fantasy_hsi.foot_skate(body, still, jnp.asarray(1.0))) < 1e-4
    # All joints glide at 0.8 m/s: ankles at 5 of 8 cm, toes at 2 of 4 cm.
    glide = still.at[..., 0].add(0.1 * jnp.arange(1, 9)[:, None])
    wanted = 0.8 * ((2 - 2 ** (5 / 8)) + (2 - 2**0.5)) / 2
    slide = fantasy_hsi.foot_skate(body, glide, jnp.asarray(1.0))
    assert float(slide) == pytest.approx(wanted, rel=1e-4)
    inside = still.at[3, :, 0].set(0.1).at[3, :, 1].set(0.1)
    found = jax.jit(fantasy_hsi.realism)(SCENE.value, body, inside, jnp.asarray(1.0))
    assert float(found.burst) == pytest.approx(100 / 8)
    assert float(found.depth) > 0.05
    lost = fantasy_hsi.realism(SCENE.value, body, still * jnp.nan, jnp.asarray(1.0))
    assert all(np.isnan(x) for x in lost)


def test_a_graph_grows_and_counts_what_finds_no_slot():
    graph = fantasy_hsi.motion_graph([0.0, 0.0, 0.0], 2)
    put = jax.jit(fantasy_hsi.append)
    for number in range(3):
        source = jnp.asarray(number)
        graph, edge = put(graph, source, jnp.full(3, number + 1.0), jnp.asarray(0), jnp.asarray(1))
        assert int(edge) == min(number, 2)
    assert (int(graph.num_edges), int(graph.overflow)) == (2, 1)
    assert graph.target.tolist() == [1, 2]
    assert graph.pose[:, 0].tolist() == [0.0, 1.0, 2.0]
    same, _ = put(graph, source, jnp.zeros(3), source, source, jnp.asarray(False))
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), same, graph))


def test_a_plan_of_exact_actions_completes_its_goals():
    scene, fields, goals, _ = task()
    made = jax.jit(fantasy_hsi.plan, compiler_options=FAST)(scene, fields, goals, START)
    verbs = [fantasy_hsi.VERBS[v] for v in made.actions.verb if v != fantasy_hsi.STOP]
    assert bool(made.is_complete)
    assert len(verbs) == int(made.length)
    assert verbs.count("pick") == 1
    assert verbs[-1] == "place"
    assert verbs.index("pick") < len(verbs) - 1


def test_the_loop_never_teleports_and_grows_one_connected_graph(key):
    """Every clip begins at the actual state, which is always the end of a generated clip."""
    begin = task()
    state, steps = runner(noisy)(key, *begin)
    assert int(state.progress) == 2
    assert int(state.calls) < 24  # it stopped by itself
    now = np.asarray(begin[-1])
    ends = [now]
    for index in range(24):
        if steps.active[index]:
            ends.append(np.asarray(steps.frames[index, -1]))
    distance = [np.abs(np.asarray(state.body) - end).max() for end in ends]
    assert min(distance) < 1e-6
    graph = state.graph
    edges = int(graph.num_edges)
    assert edges == int(state.calls)
    kinds, source, target = (
        np.asarray(x)[:edges] for x in (graph.kind, graph.source, graph.target)
    )
    assert (source < target).all()
    taken = kinds != fantasy_hsi.REJECTED
    walked = [0, *target[taken]]
    np.testing.assert_array_equal(source[taken], walked[:-1])  # a single path
    assert walked[-1] == int(state.node)
    for index in range(edges):  # a clip starts where its source node is
        first = np.asarray(steps.frames[index, 0, 0, :2])
        assert np.linalg.norm(first - np.asarray(graph.pose)[source[index], :2]) < 0.35
    assert int(state.segments) == taken.sum()


@pytest.mark.slow
def test_clips_that_are_not_finite_are_rejected_and_calls_stay_bounded(key):
    state, steps = runner(broken)(key, *task())
    assert int(state.progress) == 2
    assert np.isfinite(state.body).all()
    rejected = ~np.isfinite(np.asarray(steps.frames)).all(axis=(1, 2, 3)) & steps.active
    assert rejected.any()
    assert not (rejected & steps.accepted).any()


@pytest.mark.slow
def test_a_generator_that_does_nothing_spends_its_calls_and_no_more(key):
    state, _ = runner(useless)(key, *task())
    assert (int(state.progress), int(state.calls)) == (0, 24)
    kinds = np.asarray(state.graph.kind)
    assert (kinds == fantasy_hsi.DEVIATED).sum() == 8  # the third of each three tries
    assert (kinds == fantasy_hsi.REJECTED).sum() == 16
    np.testing.assert_allclose(state.body, task()[-1])


@pytest.mark.slow
def test_an_open_loop_of_exact_clips_follows_the_plan(key):
    scene, fields, goals, body = task()

    @functools.partial(jax.jit, compiler_options=FAST)
    def both(key, scene, fields, goals, body):
        made = fantasy_hsi.plan(scene, fields, goals, START)
        exact = fantasy_hsi.open_loop(EXACT)(key, body, scene, made)
        lost = fantasy_hsi.open_loop(broken)(key, body, scene, made)
        return made, exact, lost

    made, exact, lost = both(key, scene, fields, goals, body)
    assert int(exact.reached) == 2
    assert int(exact.segments) == int(made.length)
    end = fantasy_hsi.pose_of(exact.body)
    np.testing.assert_allclose(end[:2], scene.pose[2, :2], atol=0.02)
    assert int(lost.reached) < 2
    assert np.isfinite(lost.body).all()


def test_a_host_decides_as_planner_and_critic(key):
    asked = []

    def accept(call):
        asked.append(call["demand"])
        return {"answer": 1}

    host = coordination.host_backend(accept, 1, num_answers=2)
    lenient = fantasy_hsi.backend_critic(host)
    body = fantasy_hsi.standing(jnp.asarray(START))
    frames = useless(key, None, body, None, None)
    action = fantasy_hsi.Action(
        jnp.asarray(0), jnp.array([3.3, 1.1, 0.3]), jnp.asarray(1.0), jnp.asarray(False)
    )
    verdict = jax.jit(lenient)(key, SCENE.value, action, body, frames)
    assert bool(verdict.accept)
    assert not bool(verdict.reached)  # what a goal needs is not the critic's to say
    assert asked[0][1] == pytest.approx(0.8, abs=1e-4)
    silent = coordination.host_backend(lambda call: {"answer": 9}, 1, num_answers=2)
    strict = fantasy_hsi.backend_critic(silent)  # invalid: the geometric verdict stands
    assert not bool(jax.jit(strict)(key, SCENE.value, action, body, frames).accept)
    turning = coordination.host_backend(lambda call: {"answer": 2}, 1, num_answers=4)
    scene, fields, goals, _ = task()
    planner = jax.jit(fantasy_hsi.backend_planner(turning))
    chosen = planner(key, scene, fields, goals, jnp.asarray(START), jnp.asarray(0))
    assert fantasy_hsi.VERBS[int(chosen.verb)] == "turn"
    np.testing.assert_allclose(chosen.target[:2], START[:2])


def test_the_flow_generator_is_stochastic_and_moves_with_the_figure(key):
    model = fantasy_hsi.motion_model(width=8, depth=1)
    scale = fantasy_hsi.MotionScale(*(jnp.ones(fantasy_hsi.MOTION_SHAPE),) * 2)
    free = SCENE.value._replace(distance=jnp.ones((24, 24)))

    @functools.partial(jax.jit, compiler_options=FAST)
    def make(init_key, key, pose):
        generate = fantasy_hsi.flow_generator(model, model.init(init_key), scale, num_steps=2)
        body = fantasy_hsi.standing(pose)
        return generate(key, free, body, jnp.asarray(0), jnp.array([0.5, 0.0, 0.0]))

    pose, other = jnp.array([2.0, 2.0, 0.5]), jnp.array([3.0, 1.5, -1.0])
    first = make(key, key, pose)
    assert float(jnp.abs(first - make(key, jax.random.key(7), pose)).max()) > 1e-3
    local = fantasy_hsi.to_local(pose, first)
    moved = fantasy_hsi.to_local(other, make(key, key, other))
    np.testing.assert_allclose(local, moved, atol=1e-3)  # the same condition, the same motion


BODY = Later(fantasy_hsi.standing, jnp.asarray(START))


def in_obstacle():
    return fantasy_hsi.standing(jnp.array([0.9, 0.9, 0.0]))


def walled():
    occupied = np.asarray(hall().occupied).copy()
    occupied[12] = True
    old = hall()
    return scenes.scene(occupied, kind=old.kind, position=old.position, pose=old.pose)


def one_goal(scene):
    return fantasy_hsi.goals(scene, ("pick", 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fantasy_hsi.goals(SCENE.value), "steps"),
        (lambda: fantasy_hsi.goals(SCENE.value, ("fly", 0)), "unknown steps"),
        (lambda: fantasy_hsi.goals(SCENE.value, ("sit", 1)), "steps: sit expected a seat"),
        (lambda: fantasy_hsi.goals(SCENE.value, ("sit", 9)), "steps"),
        (lambda: fantasy_hsi.goals(SCENE.value, ("place", 2)), "picked up"),
        (lambda: fantasy_hsi.goals(SCENE.value, ("sit", 0), length=0), "length"),
        (lambda: fantasy_hsi.check_task(SCENE.value, one_goal(SCENE.value), in_obstacle()),
         "body: expected a start in free space"),
        (lambda: fantasy_hsi.check_task(walled(), one_goal(walled()), BODY.value),
         "goals: expected goals that can be reached"),
        (lambda: fantasy_hsi.check_task(SCENE.value, one_goal(SCENE.value), np.zeros((2, 3))),
         "body"),
        (lambda: fantasy_hsi.closed_loop(EXACT, retries=-1), "retries"),
        (lambda: fantasy_hsi.closed_loop(3), "generate"),
        (lambda: fantasy_hsi.open_loop(EXACT, candidates=0), "candidates"),
        (lambda: fantasy_hsi.motion_graph([0.0, 0.0], 3), "pose"),
        (lambda: fantasy_hsi.motion_graph([0.0, 0.0, 0.0], 0), "capacity"),
        (lambda: fantasy_hsi.geometric_critic(fantasy_hsi.Tolerances(angle=-1.0)),
         "tolerances.angle"),
        (lambda: fantasy_hsi.backend_critic(3), "backend"),
        (lambda: fantasy_hsi.backend_planner(None), "backend"),
        (lambda: fantasy_hsi.grammar_planner(stride=0.0), "stride"),
        (lambda: fantasy_hsi.flow_generator(3, {}, None), "model"),
        (lambda: fantasy_hsi.motion_model(width=0), "width"),
        (lambda: fantasy_hsi.draw_clips(0, SCENE.value, 3), "key"),
        (lambda: fantasy_hsi.draw_clips(jax.random.key(0), SCENE.value, 0), "count"),
        (lambda: fantasy_hsi.draw_tasks(jax.random.key(0), SCENE.value, None, [0], 1), "horizons"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
