"""Scenes: distances against scipy, paths against Dijkstra, what is drawn, and bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from jaxswarm.envs import scenes


def grid_of(seed, shape=(17, 13), share=0.2):
    return np.random.default_rng(seed).random(shape) < share


def by_hand(occupied=None):
    """A hall of 24 × 24 cells with one obstacle row, a seat and an item on its two sides."""
    if occupied is None:
        occupied = np.zeros((24, 24), bool)
        occupied[[0, -1]] = occupied[:, [0, -1]] = True
        occupied[12, 1:16] = True
        occupied[4, 4] = occupied[20, 4] = True
    return scenes.scene(
        occupied, kind=[0, 1], position=[[0.9, 0.9], [0.9, 4.1]],
        pose=[[1.3, 0.9, 0.0], [1.3, 4.1, np.pi]],
    )  # fmt: skip


SIGNED = jax.jit(scenes.signed_distance)
FIELDS = jax.jit(scenes.fields)


@pytest.mark.parametrize("seed", range(4))
def test_signed_distances_are_those_of_scipy(seed):
    occupied = grid_of(seed)
    inside = ndimage.distance_transform_edt(occupied) - 0.5
    outside = ndimage.distance_transform_edt(~occupied) - 0.5
    np.testing.assert_allclose(
        SIGNED(occupied, 0.2), 0.2 * np.where(occupied, -inside, outside), atol=1e-6
    )


def test_a_grid_without_obstacles_is_farther_than_its_size_everywhere():
    assert float(SIGNED(np.zeros((17, 13), bool), 1.0).min()) == 17 + 13 - 0.5


def test_interpolation_is_exact_at_centres_and_linear_between(key):
    field = jax.random.normal(key, (5, 7))
    at = scenes.distance_at(field, jnp.array([[0.3, 0.5], [0.4, 0.5]]), 0.2)
    assert float(at[0]) == pytest.approx(float(field[2, 1]), abs=1e-5)
    assert float(at[1]) == pytest.approx(float(field[2, 1] + field[2, 2]) / 2, abs=1e-5)
    far = scenes.distance_at(field, jnp.array([-9.0, -9.0]), 0.2)
    assert float(far) == pytest.approx(float(field[0, 0]))
    assert np.isnan(scenes.distance_at(field, jnp.array([np.nan, 0.0]), 0.2))


def test_fields_are_dijkstras_distances():
    scene = by_hand()
    free = np.asarray(scenes.walkable(scene))
    fields = np.asarray(FIELDS(scene))
    index = np.arange(free.size).reshape(free.shape)
    for goal, field in zip(np.asarray(scene.pose)[:, :2], fields, strict=True):
        row, column = (goal[::-1] / 0.2).astype(int)
        open_cells = free.copy()
        open_cells[row, column] = True
        pairs = [
            (index[a], index[b], open_cells[a] & open_cells[b])
            for a, b in (
                (np.s_[1:], np.s_[:-1]),
                ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
            )
        ]
        ends = [np.concatenate([p[i][p[2]] for p in pairs]) for i in (0, 1)]
        graph = sparse.coo_matrix((np.ones(len(ends[0])), ends), shape=(free.size,) * 2)
        wanted = csgraph.dijkstra(graph, directed=False, indices=index[row, column])
        wanted = np.where(np.isfinite(wanted), wanted, free.size).reshape(free.shape)
        np.testing.assert_array_equal(field, wanted)


def test_waypoints_lead_to_the_goal_with_clearance():
    scene = by_hand()
    fields = FIELDS(scene)
    follow = jax.jit(lambda at: scenes.next_waypoint(scene, fields[1], at, scene.pose[1, :2]))
    at, steps = scene.pose[0, :2], 0
    while steps < 40:
        after, is_goal = follow(at)
        assert float(jnp.linalg.norm(after - at)) <= scenes.STRIDE + 1e-5
        line = np.linspace(at, after, 30)
        assert float(scenes.distance_at(scene.distance, jnp.asarray(line), 0.2).min()) > 0.1
        at, steps = after, steps + 1
        if is_goal:
            break
    assert bool(is_goal)
    np.testing.assert_allclose(at, scene.pose[1, :2])


def test_a_walled_off_goal_is_unreachable():
    occupied = np.asarray(by_hand().occupied).copy()
    occupied[12] = True
    scene = by_hand(occupied)
    reachable = jax.jit(scenes.is_reachable)(scene, jnp.array([1.3, 0.9]))
    assert reachable.tolist() == [True, False]


def test_drawn_scenes_have_free_poses_beside_their_objects(key):
    def draw(keys):
        walls = [jax.vmap(lambda k, f=f: f(k, 30))(keys) for f in scenes.FAMILIES.values()]
        keys = jax.random.split(keys[0], 4 * len(keys))
        return jax.vmap(scenes.furnish)(keys, jnp.concatenate(walls))

    made = jax.jit(draw, compiler_options={"xla_backend_optimization_level": 0})(
        jax.random.split(key, 3)
    )
    occupied, pose, position = (np.asarray(x) for x in (made.occupied, made.pose, made.position))
    assert occupied[:, 0].all()
    assert occupied[:, :, -1].all()
    row = np.arange(len(occupied))[:, None]
    cells = (pose[..., :2] / 0.2).astype(int)
    assert not occupied[row, cells[..., 1], cells[..., 0]].any()
    cells = (position / 0.2).astype(int)
    assert occupied[row, cells[..., 1], cells[..., 0]].all()
    toward = np.arctan2(*(position - pose[..., :2]).transpose(2, 0, 1)[::-1])
    turned = np.cos(toward - pose[..., 2])
    np.testing.assert_allclose(turned, np.where(np.asarray(made.kind) == 0, -1, 1), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"occupied": [[True, False], [True]]}, "occupied"),
        ({"occupied": np.zeros((24, 24))}, "occupied"),
        ({"occupied": np.zeros((2, 24), bool)}, "occupied"),
        ({"kind": [3, 0]}, "kind"),
        ({"kind": []}, "kind"),
        ({"position": [[np.nan, 0.0]] * 2}, "position"),
        ({"position": [[99.0, 0.0]] * 2}, "position"),
        ({"pose": [[0.9, 0.9, 0.0]] * 2}, "pose"),
        ({"cell": 0.0}, "cell"),
    ],
)
def test_scenes_refuse_what_is_none(change, message):
    occupied = np.zeros((24, 24), bool)
    occupied[4, 4] = True
    good = {"occupied": occupied, "kind": [0, 1], "position": [[0.9, 0.9]] * 2,
            "pose": [[1.3, 0.9, 0.0]] * 2}  # fmt: skip
    with pytest.raises(ValueError, match=message):
        scenes.scene(**(good | change))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scenes.draw(0), "key"),
        (lambda: scenes.draw(jax.random.key(0), "room"), "family"),
        (lambda: scenes.draw(jax.random.key(0), size=9), "size"),
        (lambda: scenes.draw(jax.random.key(0), num_objects=0), "num_objects"),
        (lambda: scenes.furnish(jax.random.key(0), np.zeros((24, 30), bool)), "walls"),
        (lambda: scenes.fields(3), "scene"),
        (lambda: scenes.euclidean_distances([[1.0]]), "mask"),
        (lambda: scenes.signed_distance(np.zeros((3, 3), bool), -1.0), "cell"),
        (lambda: scenes.check_scene(by_hand(), batched=True), "scene"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
