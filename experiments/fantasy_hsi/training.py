"""Scenes, clips, and training of the generators: base, DPO, fine-tuning on winners.

Shapes: ``S`` seeds, ``C`` scenes, ``B`` clips.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from experiments.fantasy_hsi.config import HELD_OUT, HORIZONS, TRAINED, Config
from jaxswarm import generative
from jaxswarm.data import Batch
from jaxswarm.envs import scenes
from jaxswarm.models import flow
from jaxswarm.systems import fantasy_hsi
from jaxswarm.systems.fantasy_hsi import Clips, MotionScale, Realism
from jaxswarm.types import Params

DRAWS = {"train": TRAINED, "test": TRAINED, "held-out": (HELD_OUT,)}
"""Families of the scenes of each set."""


SIZE = 36  # cells along each side, 7.2 m


class World(NamedTuple):
    """Scenes of one set with their fields and tasks, leaves ``[S, C, …]``."""

    scene: scenes.Scene
    fields: jax.Array
    tasks: fantasy_hsi.Tasks


def draw_scenes(key: jax.Array, config: Config) -> dict[str, scenes.Scene]:
    """Scenes of all sets of one seed, leaves ``[C, …]``."""
    walls = []
    for number, families in enumerate(DRAWS.values()):
        keys = jax.random.split(jax.random.fold_in(key, number), config.scenes)
        each = config.scenes // len(families)
        walls += [
            jax.vmap(lambda k, f=family: scenes.FAMILIES[f](k, SIZE))(keys[i * each :][:each])
            for i, family in enumerate(families)
        ]
    keys = jax.random.split(jax.random.fold_in(key, len(DRAWS)), len(DRAWS) * config.scenes)
    drawn = jax.vmap(scenes.furnish)(keys, jnp.concatenate(walls))

    def part(i: int) -> scenes.Scene:
        rows = slice(i * config.scenes, (i + 1) * config.scenes)
        return jax.tree.map(lambda leaf: leaf[rows], drawn)

    return {name: part(number) for number, name in enumerate(DRAWS)}


def draw_world(key: jax.Array, scene: scenes.Scene, config: Config) -> World:
    """Fields and tasks of the scenes of one seed."""

    def one(key: jax.Array, scene: scenes.Scene) -> tuple[jax.Array, fantasy_hsi.Tasks]:
        fields = scenes.fields(scene)
        return fields, fantasy_hsi.draw_tasks(key, scene, fields, HORIZONS, config.tasks)

    return World(scene, *jax.vmap(one)(jax.random.split(key, config.scenes), scene))


def draw_clips(key: jax.Array, scene: scenes.Scene, count: int) -> Clips:
    """Clips of all scenes of one seed, ``count`` of each, leaves ``[B, …]``."""
    size = len(scene.kind)
    clips = jax.vmap(lambda k, s: fantasy_hsi.draw_clips(k, s, count))(
        jax.random.split(key, size), scene
    )
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), clips)


def repeat_scenes(scene: scenes.Scene, count: int) -> scenes.Scene:
    """Every scene ``count`` times, in the order of :func:`draw_clips`."""
    return jax.tree.map(lambda leaf: jnp.repeat(leaf, count, axis=0), scene)


def train(
    key: jax.Array, model: flow.Flow, clips: Clips, config: Config
) -> tuple[Params, MotionScale, jax.Array]:
    """The base generator of one seed: averaged parameters, scale, losses ``[steps]``."""
    scale = fantasy_hsi.motion_scale(clips.frames)
    schedule = optax.cosine_decay_schedule(config.train_lr, config.train_steps)
    learner = generative.flow_matching(model, optax.adam(schedule))
    init_key, step_key = jax.random.split(key)

    def step(state: Any, key: jax.Array) -> tuple[Any, jax.Array]:
        row_key, batch_key, loss_key = jax.random.split(key, 3)
        rows = jax.random.randint(row_key, (config.train_batch,), 0, len(clips.verb))
        chosen = jax.tree.map(lambda leaf: leaf[rows], clips)
        state, info = learner.step(
            loss_key, state, fantasy_hsi.training_batch(batch_key, scale, chosen)
        )
        return state, info.loss

    state = learner.init(model.init(init_key))
    state, losses = jax.lax.scan(step, state, jax.random.split(step_key, config.train_steps))
    return state.ema_params, scale, losses


def clip_conditions(clips: Clips) -> jax.Array:
    """Conditions of clips with the scene, ``[B, …]``."""
    return jax.vmap(fantasy_hsi.condition_of)(
        clips.body, clips.verb, clips.offset, clips.features, jnp.ones(len(clips.verb))
    )


def generate_clips(
    key: jax.Array,
    model: flow.Flow,
    params: Params,
    scale: MotionScale,
    condition: jax.Array,
    config: Config,
) -> tuple[jax.Array, jax.Array]:
    """Clips ``[B, T, J, 3]`` of conditions in the frames of their start poses, and as encoded."""
    field = flow.field(model, params, condition)
    encoded = flow.sample(key, field, len(condition), model.shape, num_steps=config.sampler_steps)
    return jax.vmap(lambda x: fantasy_hsi.decode(scale, x))(encoded), encoded


def measure(scene: scenes.Scene, clips: Clips, frames: jax.Array) -> Realism:
    """Realism of local frames at the places of clips; ``scene`` leaves lead with ``B``."""

    def one(scene, clip: Clips, frames: jax.Array) -> Realism:
        body = fantasy_hsi.to_world(clip.pose, clip.body)
        seconds = fantasy_hsi.duration(clip.verb, clip.offset)
        return fantasy_hsi.realism(scene, body, fantasy_hsi.to_world(clip.pose, frames), seconds)

    return jax.vmap(one)(scene, clips, frames)


def preferences(
    key: jax.Array,
    model: flow.Flow,
    params: Params,
    scale: MotionScale,
    scene: scenes.Scene,
    clips: Clips,
    config: Config,
) -> generative.Preferences:
    """Pairs of the base generator's clips at places of the *training* scenes.

    The score adds foot skate and bone error, each relative to its mean, and the depth of the
    pelvis in obstacles in units of 5 cm.
    """
    row_key, sample_key = jax.random.split(key)
    rows = jax.random.randint(row_key, (config.pairs,), 0, len(clips.verb))
    chosen = jax.tree.map(lambda leaf: leaf[rows], clips)
    where = jax.tree.map(lambda leaf: leaf[rows // config.clips], scene)
    condition = clip_conditions(chosen)

    def candidate(key: jax.Array) -> tuple[jax.Array, Realism]:
        frames, encoded = generate_clips(key, model, params, scale, condition, config)
        return encoded, measure(where, chosen, frames)

    encoded, found = jax.lax.map(candidate, jax.random.split(sample_key, config.candidates))
    worse = found.skate / found.skate.mean() + found.bone_error / found.bone_error.mean()
    worse = worse + found.depth / 0.05
    return generative.preference_pairs(jnp.swapaxes(encoded, 0, 1), -worse.T, condition)


def tune(
    key: jax.Array, model: flow.Flow, params: Params, pairs: generative.Preferences,
    config: Config, dpo_lr: jax.Array | float, beta: jax.Array | float,
    winners_lr: jax.Array | float,
) -> tuple[Params, Params, jax.Array]:  # fmt: skip
    """Fine-tune by DPO and on winners alone, from the same pairs, steps and batches.

    Returns:
        Parameters of DPO, parameters of fine-tuning on winners, and by step DPO's accuracy and
        gains on winners and on losers, ``[steps, 3]``.
    """
    by_pairs = generative.dpo(model, optax.adam(dpo_lr), beta=beta)
    by_winners = generative.flow_matching(model, optax.adam(winners_lr))

    def step(carry: Any, key: jax.Array) -> tuple[Any, jax.Array]:
        first, second = carry
        row_key, loss_key = jax.random.split(key)
        rows = jax.random.randint(row_key, (config.tune_batch,), 0, config.pairs)
        batch = jax.tree.map(lambda leaf: leaf[rows], pairs)
        first, info = by_pairs.step(loss_key, first, batch)
        second, _ = by_winners.step(
            loss_key, second, Batch(batch.winner, batch.condition, batch.weight)
        )
        return (first, second), jnp.stack([info.accuracy, info.winner_gain, info.loser_gain])

    carry = by_pairs.init(params), by_winners.init(params)
    (first, second), accuracy = jax.lax.scan(step, carry, jax.random.split(key, config.tune_steps))
    return first.params, second.params, accuracy
