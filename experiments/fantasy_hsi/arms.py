"""Runs of the FantasyHSI experiment: a generator trained in procedural scenes, and its loop.

For each seed scenes of three families are drawn for training and others of the same families for
tests; a fourth family is held out. A flow model learns procedurally walked clips of the training
scenes. DPO and fine-tuning on winners alone start from it with the same pairs of its own clips in
the training scenes. On the test scenes, tasks whose plans have 2, 4 or 8 actions are carried out by
these arms; the generator is the base one unless the arm says otherwise:

* *closed loop*: generate, judge, retry, replan from the actual state;
* *closed loop, no retries*: every clip happens, the planner replans from where it ended;
* *open loop*: the plan's displacements one after the other; and with the heading known, so that
  only positions drift;
* *best of 4 clips*: open loop, each clip chosen by the critic against the plan's absolute target;
* *best of 4 runs*: four open loops, completed if any of them is;
* *closed loop, DPO* and *winners only*: fine-tuned generators in the closed loop;
* *oracle*: the procedural walker without error in the closed loop.

An arm has ``calls`` generator calls for each planned action at most; the best-of-4 arms use all of
them, the closed loop stops when its goals are reached. A task is completed if all its goals are
reached and the pelvis was never inside an obstacle.

Limits: the motion that was generated is what happens (there is no physics between clip and state);
planner and navigator know the map; the critic measures geometry exactly, which a vision-language
model would not.

Shapes: ``S`` seeds, ``K`` tasks of a seed (scenes × horizons × tasks), ``P`` probes.

References:
    Mu et al., FantasyHSI: video-generation-centric 4D human synthesis in any scene through a
    graph-based multi-agent framework, 2025 (abstract).
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.fantasy_hsi import training
from experiments.fantasy_hsi.config import HORIZONS, Config
from experiments.fantasy_hsi.training import World
from experiments.harness.compile import jit_fast_compile
from jaxswarm.envs import scenes
from jaxswarm.systems import fantasy_hsi
from jaxswarm.systems.fantasy_hsi import Realism

CLOSED, NO_RETRIES, ORACLE = "closed loop", "closed loop, no retries", "oracle generator"
OPEN, OPEN_HEADING = "open loop", "open loop, heading known"
BEST_CLIPS, BEST_RUNS = "best of 4 clips", "best of 4 runs"
DPO, WINNERS = "closed loop, DPO", "closed loop, winners only"
HELD_OUT = "closed loop, held-out family"
ARMS = (
    CLOSED, NO_RETRIES, OPEN, OPEN_HEADING, BEST_CLIPS, BEST_RUNS, DPO, WINNERS, HELD_OUT, ORACLE,
)  # fmt: skip


class Scores(NamedTuple):
    """Outcome of every task, leaves ``[S, K]``.

    Attributes:
        completed: whether all goals were reached without a collision of the pelvis.
        reached: whether all goals were reached.
        error: metres between pelvis and the last goal's interaction pose at the end.
        calls: of the generator.
        segments: clips that happened.
        skate: mean over these, as are the next ones.
        bone_error: see ``fantasy_hsi.Realism``.
        burst: see there.
        depth: largest over clips.
        contact: see there.
        corrective: corrective edges of the graph, 0 without a loop.
        overflow: edges that found no slot.
    """

    completed: jax.Array
    reached: jax.Array
    error: jax.Array
    calls: jax.Array
    segments: jax.Array
    skate: jax.Array
    bone_error: jax.Array
    burst: jax.Array
    depth: jax.Array
    contact: jax.Array
    corrective: jax.Array
    overflow: jax.Array


def scores(
    body: jax.Array, goal: jax.Array, reached: jax.Array, wanted: jax.Array, calls: jax.Array,
    segments: jax.Array, total: Realism, corrective: jax.Array, overflow: jax.Array,
) -> Scores:  # fmt: skip
    """Scores of one task."""
    count = jnp.maximum(segments, 1)
    done = reached >= wanted
    return Scores(
        done & (total.depth <= 0.0),
        done,
        jnp.linalg.norm(fantasy_hsi.pose_of(body)[:2] - goal[:2]),
        calls,
        segments,
        total.skate / count,
        total.bone_error / count,
        total.burst / count,
        total.depth,
        total.contact / count,
        corrective,
        overflow,
    )


def _last_goal(scene: scenes.Scene, goals: fantasy_hsi.Goals) -> tuple[jax.Array, jax.Array]:
    wanted = jnp.sum(goals.verb != fantasy_hsi.STOP)
    return scene.pose[goals.object[wanted - 1]], wanted


def run_closed(
    key: jax.Array,
    generate: fantasy_hsi.Generate,
    world: World,
    retries: jax.Array | int,
    config: Config,
) -> tuple[Scores, dict[str, jax.Array]]:
    """The closed loop on all tasks of one seed, until the last of them is done or out of calls."""
    capacity = config.calls * max(HORIZONS)
    step = fantasy_hsi.closed_loop(generate, retries=retries)
    per_scene = world.tasks.valid.shape[1]
    count = config.scenes * per_scene
    flat = lambda tree: jax.tree.map(lambda x: x.reshape(count, *x.shape[2:]), tree)  # noqa: E731
    tasks = flat(world.tasks)
    which = jnp.repeat(jnp.arange(config.scenes), per_scene)
    budget = config.calls * tasks.horizon
    bodies = jax.vmap(fantasy_hsi.standing)(tasks.pose)
    state = jax.vmap(lambda body: fantasy_hsi.start(body, capacity))(bodies)
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(count))
    clips = jnp.zeros((capacity, count, *fantasy_hsi.MOTION_SHAPE))

    def advance(carry: Any) -> Any:
        index, state, clips, _ = carry

        def one(key: jax.Array, state: Any, place: jax.Array, goals: Any, budget: jax.Array):
            scene, fields = jax.tree.map(lambda leaf: leaf[place], (world.scene, world.fields))
            return step(jax.random.fold_in(key, index), state, scene, fields, goals, budget)

        state, info = jax.vmap(one)(keys, state, which, tasks.goals, budget)
        return index + 1, state, clips.at[index].set(info.frames), jnp.any(info.active)

    carry = jnp.zeros((), jnp.int32), state, clips, jnp.ones((), bool)
    _, state, clips, _ = jax.lax.while_loop(lambda c: c[3] & (c[0] < capacity), advance, carry)
    kinds = state.graph.kind

    def score(state: Any, place: jax.Array, goals: Any, kind: jax.Array) -> Scores:
        goal, wanted = _last_goal(jax.tree.map(lambda leaf: leaf[place], world.scene), goals)
        return scores(
            state.body, goal, state.progress, wanted, state.calls, state.segments, state.realism,
            jnp.sum(kind == fantasy_hsi.CORRECTIVE), state.graph.overflow,
        )  # fmt: skip

    found = jax.vmap(score)(state, which, tasks.goals, kinds)
    return found, {"kind": kinds, "clips": jnp.swapaxes(clips, 0, 1), "verb": state.graph.verb}


def run_open(
    key: jax.Array,
    generate: fantasy_hsi.Generate,
    world: World,
    knows_heading: jax.Array | bool,
    config: Config,
    candidates: int = 1,
) -> Scores:
    """The open loop on all tasks of one seed."""
    run = fantasy_hsi.open_loop(generate, candidates=candidates, knows_heading=knows_heading)
    per_scene = world.tasks.valid.shape[1]
    count = config.scenes * per_scene
    tasks = jax.tree.map(lambda x: x.reshape(count, *x.shape[2:]), world.tasks)
    which = jnp.repeat(jnp.arange(config.scenes), per_scene)

    def one(index: jax.Array, task: fantasy_hsi.Tasks, place: jax.Array) -> Scores:
        scene = jax.tree.map(lambda leaf: leaf[place], world.scene)
        end = run(jax.random.fold_in(key, index), fantasy_hsi.standing(task.pose), scene, task.plan)
        goal, wanted = _last_goal(scene, task.goals)
        zero = jnp.zeros((), jnp.int32)
        return scores(
            end.body, goal, end.reached, wanted, end.segments * candidates, end.segments,
            end.realism, zero, zero,
        )  # fmt: skip

    return jax.vmap(one)(jnp.arange(count), tasks, which)


def probe(
    key: jax.Array, model: Any, params: Any, scale: Any, scene: scenes.Scene, config: Config
) -> dict[str, jax.Array]:
    """Realism and divergence of single clips at random places of the test scenes of one seed.

    ``with`` and ``without`` are pairs of clips of the same noise with and without the scene in the
    condition; ``other`` has the scene and another noise. ``walker`` and ``walker_floor`` are the
    same two distances of the procedural walker, an oracle.
    """
    each = -(-config.probes // config.scenes)
    clip_key, one, two = jax.random.split(key, 3)
    clips = training.draw_clips(clip_key, scene, each)
    where = training.repeat_scenes(scene, each)
    condition = training.clip_conditions(clips)
    blind = jax.vmap(fantasy_hsi.condition_of)(
        clips.body, clips.verb, clips.offset, clips.features, jnp.zeros(len(clips.verb))
    )
    make = lambda k, c: training.generate_clips(k, model, params, scale, c, config)[0]  # noqa: E731
    seen, unseen, other = make(one, condition), make(one, blind), make(two, condition)

    def apart(first: jax.Array, second: jax.Array) -> jax.Array:
        return jnp.mean(jnp.linalg.norm(first - second, axis=-1), axis=(1, 2))

    found = training.measure(where, clips, seen)
    hidden = training.measure(where, clips, unseen)
    walker, styles = jax.vmap(training.walker_divergence)(
        jax.random.split(two, len(clips.verb)), clips
    )
    # Where the straight way comes within 0.2 m of an obstacle, the scene has something to say.
    share = jnp.linspace(0.0, 1.0, 6)[None, :, None]
    ways = jax.vmap(fantasy_hsi.to_world)(clips.pose, share * clips.offset[:, None, :2])
    room = jax.vmap(lambda s, p: scenes.distance_at(s.distance, p, s.cell))(where, ways)
    near = (room.min(axis=1) < 0.2) & (clips.verb == 0)
    return {
        **found._asdict(),
        "blind_burst": hidden.burst,
        "blind_depth": hidden.depth,
        "divergence": apart(seen, unseen),
        "floor": apart(seen, other),
        "walker": walker,
        "walker_floor": styles,
        "near": near,
        "walks": clips.verb == 0,
    }


def train_generators(keys: jax.Array, drawn: Any, clips: Any, config: Config) -> Any:
    """Parameters (base, DPO, winners only), scale, curves and pairs of all seeds, one by one."""
    model = fantasy_hsi.motion_model(width=config.width, depth=config.depth)

    def one(inputs: Any) -> Any:
        key, scene, clips = inputs
        base_key, pair_key, tune_key = jax.random.split(key, 3)
        base, scale, losses = training.train(base_key, model, clips, config)
        pairs, chosen = training.preferences(pair_key, model, base, scale, scene, clips, config)
        tuned, winners, accuracy = training.tune(tune_key, model, base, pairs, config)
        return {"base": base, "dpo": tuned, "winners": winners}, scale, losses, accuracy, chosen

    return jax.lax.map(one, (jax.vmap(lambda k: jax.random.fold_in(k, 9))(keys), drawn, clips))


def run(config: Config, progress: Callable[[str], None]) -> Mapping[str, Any]:
    """Draw scenes, train generators, run all arms.

    Args:
        config: sizes.
        progress: called with the name of each part as it begins.

    Returns:
        ``tasks`` (horizon and validity ``[S, K]``, of the test and the held-out scenes), ``arms``
        (:class:`Scores` by arm), ``probes`` by generator, ``training`` (curves), ``strip`` (one
        task of the first seed for the figure).
    """
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    fold = lambda keys, n: jax.vmap(lambda k: jax.random.fold_in(k, n))(keys)  # noqa: E731
    progress("scenes and tasks")
    drawn = jit_fast_compile(jax.vmap(lambda k: training.draw_scenes(k, config)), level=0)(keys)
    make_world = jit_fast_compile(
        lambda k, s: jax.vmap(lambda k, s: training.draw_world(k, s, config))(k, s), level=0
    )
    test = make_world(fold(keys, 1), drawn["test"])
    held_out = make_world(fold(keys, 2), drawn["held-out"])
    progress("generators")
    make_clips = jit_fast_compile(
        lambda k, s: jax.lax.map(lambda a: training.draw_clips(a[0], a[1], config.clips), (k, s)),
        level=0,
    )
    clips = make_clips(fold(keys, 8), drawn["train"])
    params, scale, losses, curve, chosen = jit_fast_compile(
        lambda k, s, c: train_generators(k, s, c, config), level=2, plain=True
    )(keys, drawn["train"], clips)
    model = fantasy_hsi.motion_model(width=config.width, depth=config.depth)

    def generator(params: Any, scale: Any) -> fantasy_hsi.Generate:
        return fantasy_hsi.flow_generator(model, params, scale, num_steps=config.sampler_steps)

    def either(params: Any, scale: Any, exact: jax.Array | bool) -> fantasy_hsi.Generate:
        """The flow or the oracle; one program for both compiles sooner than two."""
        flow, walker = generator(params, scale), fantasy_hsi.exact_generator()
        return lambda *args: jnp.where(exact, walker(*args), flow(*args))

    fast = lambda fn: jit_fast_compile(fn, level=1, plain=True)  # noqa: E731

    @fast
    def closed(keys, params, scale, world, retries, exact=False):
        return jax.vmap(
            lambda k, p, s, w: run_closed(k, either(p, s, exact), w, retries, config)
        )(keys, params, scale, world)  # fmt: skip

    @fast
    def open_(keys, params, scale, world, knows_heading):
        return jax.vmap(
            lambda k, p, s, w: run_open(k, generator(p, s), w, knows_heading, config)
        )(keys, params, scale, world)  # fmt: skip

    @fast
    def best_clips(keys, params, scale, world):
        return jax.vmap(
            lambda k, p, s, w: run_open(k, generator(p, s), w, False, config, config.calls)
        )(keys, params, scale, world)  # fmt: skip

    found: dict[str, Scores] = {}
    loop_keys, base = fold(keys, 3), params["base"]
    progress(CLOSED)
    found[CLOSED], record = closed(loop_keys, base, scale, test, config.retries, False)
    strip = _strip(found[CLOSED], record, test)
    for name, given, world, retries in (
        (NO_RETRIES, base, test, 0),
        (DPO, params["dpo"], test, config.retries),
        (WINNERS, params["winners"], test, config.retries),
        (HELD_OUT, base, held_out, config.retries),
    ):
        progress(name)
        found[name] = closed(loop_keys, given, scale, world, retries, False)[0]
    progress(OPEN)
    rolls = [open_(fold(keys, 20 + i), base, scale, test, False) for i in range(config.calls)]
    found[OPEN] = rolls[0]
    found[OPEN_HEADING] = open_(fold(keys, 20), base, scale, test, True)
    progress("best of 4")
    found[BEST_CLIPS] = best_clips(fold(keys, 30), base, scale, test)
    found[BEST_RUNS] = _best_run(rolls)
    progress(ORACLE)
    found[ORACLE] = closed(loop_keys, base, scale, test, config.retries, True)[0]
    progress("probes")
    probes = jit_fast_compile(
        lambda k, p, s, w: jax.lax.map(
            lambda a: probe(a[0], model, a[1], a[2], a[3], config), (k, p, s, w)
        ),
        level=0,
    )
    return {
        "tasks": {
            name: {key: _flat(getattr(world.tasks, key)) for key in ("horizon", "valid")}
            for name, world in (("test", test), ("held-out", held_out))
        },
        "arms": {
            name: {key: np.asarray(value) for key, value in rows._asdict().items()}
            for name, rows in found.items()
        },
        "probes": {
            name: jax.tree.map(np.asarray, probes(fold(keys, 4), given, scale, drawn["test"]))
            for name, given in params.items()
        },
        "training": {
            "loss": np.asarray(losses),
            "preference": np.asarray(curve),
            "chosen": jax.tree.map(np.asarray, chosen),
        },
        "strip": strip,
    }


def _flat(values: jax.Array) -> np.ndarray:
    """Per task, ``[S, C, k] -> [S, K]``."""
    array = np.asarray(values)
    return array.reshape(len(array), -1)


def _best_run(rolls: list[Scores]) -> Scores:
    """Of several open loops, the first that completed the task, else the first; all calls count."""
    done = np.stack([np.asarray(rows.completed) for rows in rolls])
    error = np.stack([np.asarray(rows.error) for rows in rolls])
    best = np.argmin(np.where(done, error - 100.0, error), axis=0)
    picked = jax.tree.map(
        lambda *leaves: np.take_along_axis(
            np.stack([np.asarray(x) for x in leaves]), best[None], 0
        )[0],
        *rolls,
    )
    return picked._replace(calls=sum(np.asarray(rows.calls) for rows in rolls))


def _strip(found: Scores, record: Mapping[str, jax.Array], world: World) -> dict[str, np.ndarray]:
    """A completed task of the first seed with eight actions: the widest with rejected clips."""
    kinds = np.asarray(record["kind"][0])
    valid = _flat(world.tasks.valid)[0] & (_flat(world.tasks.horizon)[0] == max(HORIZONS))
    good = valid & np.asarray(found.completed[0])
    at = np.asarray(record["clips"][0])[:, :, :, 0, :2]
    shown = (kinds >= 0)[:, :, None, None]
    high = np.where(shown, at, -np.inf).max(axis=(1, 2))
    low = np.where(shown, at, np.inf).min(axis=(1, 2))
    wide = np.nan_to_num((high - low).min(axis=1), neginf=0.0)
    rejected = (kinds == fantasy_hsi.REJECTED).sum(axis=1)
    task = int(np.argmax(np.where(good, wide + 10.0 * np.minimum(rejected, 2), -1.0)))
    place = task // world.tasks.valid.shape[2]
    scene = jax.tree.map(lambda leaf: np.asarray(leaf[0, place]), world.scene)
    pose = np.asarray(world.tasks.pose[0].reshape(-1, 3)[task])
    return {
        "kind": kinds[task],
        "clips": np.asarray(record["clips"][0, task]),
        "verb": np.asarray(record["verb"][0, task]),
        "pose": pose,
        "body": np.asarray(fantasy_hsi.standing(jnp.asarray(pose))),
        **{f"scene_{name}": value for name, value in scene._asdict().items()},
    }
