"""Training: replicas of one run in several profiles, with and without synchronization.

Replicas of the smaller flow model see the same images, noise and times. They are compared by the
images that they generate from the same noise (probes), *before* an exchange of parameters, after
``every`` steps of their own since the last one. Right after averaging they would be equal.

A claimed update is the parameters of the first replica after ``chunk`` steps from a state that is
known to verifiers. They run the steps again in the other profiles, and accept if the distance of
the parameters, over the size of the update, is at most a tolerance from the first half of all
updates. Cheaters do half of the steps, train on other images, round the update to 8 bits, or return
the state unchanged.

Pilots on base seed 1000: with a step size of 2e-3 replicas drifted too little in 160 steps to
disagree, .99 of the probes were within two bits without any exchange, and equality of hashes was
too strict, .94 with averaging every 4 steps. Hence a step size of 5e-3, batches of 8, an exchange
every 5 steps, and hashes within two bits, about the tolerance of the images' part: there .82 of the
probes agreed after 150 steps without exchanges, 1.0 with averaging, .997 in pairs.

Shapes: ``A`` arms, ``K`` replicas, ``C`` chunks of steps, ``S`` seeds.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.generative_consensus.config import Config
from experiments.generative_consensus.generators import (
    NUM_CLASSES,
    SIDE,
    Images,
    Jobs,
    as_bytes,
    build,
    sampler,
)
from experiments.harness.compile import jit_fast_compile
from jaxswarm import gossip, topology
from jaxswarm.algorithm import Algorithm
from jaxswarm.models import flow
from jaxswarm.systems import generative_consensus
from jaxswarm.trust import consensus, hashes, profiles
from jaxswarm.types import Params, PyTree

ARMS = ("unsynchronized", "averaging", "pairwise gossip")
PROFILES = (
    profiles.Profile("float32"),
    profiles.Profile("batch 4", batch_size=4),
    profiles.Profile("bfloat16", dtype="bfloat16"),
    profiles.Profile("float16", dtype="float16"),
)
CHEATS = ("half of the steps", "other images", "no training")
ROUNDED = "8-bit update"
TIMES = 1_000  # a time is drawn among so many, as an integer, so that no profile rounds it
PROBE_STEPS = 10
HASH, CLOSE = "phash", 2  # compares probes; bits that they may differ by
LEARNING_RATE = 5e-3


def run_training(config: Config, images: Images, progress: Callable[[str], None]) -> dict[str, Any]:
    """Train replicas under three rules, and verify updates of the averaging arm.

    Returns:
        ``steps [C]``; for each arm ``distance [S, C]``, largest relative distance of a replica's
        parameters to the first replica's, and ``equal``, ``close [S, C]``, share of probes of the
        other replicas whose perceptual hash is that of the first one's, or within two bits of it;
        ``honest [S, U, K - 1]``, relative distances of every other update, run again by the other
        replicas; for each cheat the same.
    """
    model = build("mlp", config.small_width)
    learner = _learner(config, model, 0)
    advance = _program(config, model, images)
    draw = jit_fast_compile(
        jax.vmap(jax.vmap(sampler(model, PROBE_STEPS), in_axes=(0, None)), in_axes=(0, None))
    )
    count, chunks = len(ARMS), config.replica_steps // config.chunk

    @jit_fast_compile
    def begin(key: jax.Array) -> Any:
        state = learner.init(model.init(key))
        stacked = jax.tree.map(lambda x: jnp.stack([x] * count), state)
        return stacked._replace(num_steps=state.num_steps)

    found: dict[str, Any] = {arm: {"distance": [], "equal": [], "close": []} for arm in ARMS}
    updates: dict[str, list[Any]] = {name: [] for name in ("honest", *CHEATS, ROUNDED)}
    for s in range(config.seeds):
        progress(f"training: {s + 1} of {config.seeds}")
        init_key, key = jax.random.split(jax.random.fold_in(jax.random.key(config.seed + 11), s))
        states = begin(init_key)
        probes = _probes(config, s)
        curves, own_updates = [], {name: [] for name in updates}
        for chunk in range(chunks):
            keys = jnp.stack([jax.random.fold_in(key, chunk)] * count)
            if chunk % 2:
                for name, apart in _verify(advance, states, keys).items():
                    own_updates[name].append(apart)
            states, _, distance = advance(states, keys, jnp.arange(count))
            agreement = _agreement(np.asarray(draw(states.params, probes)))
            curves.append((np.asarray(distance).max(axis=1), *agreement))
        for a, arm in enumerate(ARMS):
            for i, name in enumerate(("distance", "equal", "close")):
                found[arm][name].append(np.array([each[i][a] for each in curves]))
        for name, apart in own_updates.items():
            updates[name].append(np.stack(apart))
    found = jax.tree.map(np.stack, found, is_leaf=lambda x: isinstance(x, list))
    steps = config.chunk * np.arange(1, chunks + 1)
    return found | {k: np.stack(v) for k, v in updates.items()} | {"steps": steps}


def accept_updates(results: dict[str, Any]) -> dict[str, Any]:
    """Calibrate a tolerance on the first half of the updates, and vote on the second half.

    Returns:
        ``tolerance``, 1.5 times the largest honest distance of the first half; ``honest [S]``,
        share of honest updates that a majority accepts; for each cheat, share that it rejects.
    """
    half = results["honest"].shape[1] // 2
    tolerance = 1.5 * float(results["honest"][:, :half].max())
    found: dict[str, Any] = {"tolerance": tolerance}
    for name in ("honest", *CHEATS, ROUNDED):
        agrees = results[name][:, half:] <= tolerance  # [S, U, V]
        accepted = np.array([np.mean(np.asarray(consensus.vote(x.T))) for x in agrees])
        found[name] = accepted if name == "honest" else 1.0 - accepted
    return found


def _learner(config: Config, model: flow.Flow, rule: Any) -> Algorithm:
    """Replicas under the rule of a number: none, averaging, or random pairs."""
    server = gossip.server()
    pairs = gossip.pairwise(topology.complete(len(PROFILES)), parallel=True)

    def mix(key: Any, params: Params, state: Any, exchange: Any) -> Any:
        averaged, _, traffic = server.mix(key, params, (), exchange)
        paired, _, _ = pairs.mix(key, params, (), exchange)
        chosen = jax.tree.map(
            lambda x, y, z: jnp.where(rule == 0, x, jnp.where(rule == 1, y, z)),
            params, averaged, paired,
        )  # fmt: skip
        return chosen, state, traffic

    return generative_consensus.replicas(
        _loss(model), optax.adam(LEARNING_RATE), PROFILES, every=config.every,
        rule=gossip.GossipTransformation(lambda params: (), mix, frozenset()),
    )  # fmt: skip


def _program(config: Config, model: flow.Flow, images: Images) -> Callable[..., Any]:
    """Compile ``chunk`` steps of all arms; they end just before an exchange.

    ``advance(states [A], keys [A], rules int[A])`` returns the states, the parameters after half of
    the steps, and distances ``[A, K]`` to the first replica.
    """
    pixels, labels = jnp.asarray(images.pixels), jnp.asarray(images.labels)
    count = config.replica_batch

    def arm(state: Any, key: jax.Array, rule: jax.Array) -> Any:
        step = _learner(config, model, rule).step

        def one(carry: Any, i: jax.Array) -> Any:
            row_key, noise_key, time_key, mix_key = jax.random.split(jax.random.fold_in(key, i), 4)
            rows = jax.random.randint(row_key, (count,), 0, len(pixels))
            batch = {
                "image": pixels[rows],
                "label": labels[rows],
                "noise": jax.random.normal(noise_key, (count, SIDE, SIDE)),
                "time": jax.random.randint(time_key, (count,), 0, TIMES),
            }
            state, info = step(mix_key, carry, batch)
            return state, info.distance

        def half(state: Any, steps: jax.Array) -> Any:
            state, distances = jax.lax.scan(one, state, steps)
            return state, (state.params, distances[-1])

        steps = jnp.arange(config.chunk).reshape(2, -1)
        state, (params, distances) = jax.lax.scan(half, state, steps)
        return state, jax.tree.map(lambda x: x[0], params), distances[-1]

    # All arms have done as many steps, so that an exchange is computed only when it is due.
    axes = generative_consensus.ReplicaState(0, 0, 0, None)  # pyright: ignore[reportArgumentType]
    mapped = jax.vmap(arm, in_axes=(axes, 0, 0), out_axes=(axes, 0, 0))
    return jit_fast_compile(mapped, plain=True)


def _verify(advance: Callable[..., Any], states: Any, keys: jax.Array) -> dict[str, np.ndarray]:
    """Distances ``[K - 1]`` of claimed updates to those that the other replicas compute.

    All begin at the average of the averaging arm's parameters, with the first replica's optimizer,
    and exchange nothing.
    """
    averaging = ARMS.index("averaging")

    def common(x: jax.Array, *, mean: bool) -> jax.Array:
        own = x[averaging]
        one = jnp.mean(own, axis=0) if mean else own[0]
        return jnp.broadcast_to(one, x.shape)

    begin = states._replace(
        params=jax.tree.map(lambda x: common(x, mean=True), states.params),
        opt_state=jax.tree.map(lambda x: common(x, mean=False), states.opt_state),
    )
    other = jnp.stack([keys[0], *(jax.random.fold_in(keys[0], i) for i in range(1, len(ARMS)))])
    ends, middle, _ = advance(begin, other, jnp.zeros(len(ARMS), int))
    found = _claim_distances(begin.params, middle, ends.params)
    return {name: np.asarray(apart) for name, apart in found.items()}


@jit_fast_compile
def _claim_distances(begin: Params, middle: Params, ends: Params) -> dict[str, jax.Array]:
    """Distances of claims to updates of the verifiers, leaves ``[A, K, ...]``."""
    start = jax.tree.map(lambda x: x[0, :1], begin)
    verifiers = jax.tree.map(lambda x: x[0, 1:], ends)
    honest, wrong = (jax.tree.map(lambda x, i=i: x[i, 0], ends) for i in (0, 1))
    claims = {
        "honest": honest,
        CHEATS[0]: jax.tree.map(lambda x: x[0, 0], middle),
        CHEATS[1]: wrong,
        CHEATS[2]: jax.tree.map(lambda x: x[0], start),
        ROUNDED: generative_consensus.quantized(honest),
    }

    def distance(claim: Params) -> jax.Array:
        stacked = jax.tree.map(lambda x: x[None], claim)
        return generative_consensus.relative_distance(stacked, verifiers, start)

    return {name: distance(claim) for name, claim in claims.items()}


def _probes(config: Config, s: int) -> Jobs:
    noise = np.random.default_rng([config.seed + s, 5]).standard_normal((config.probes, SIDE, SIDE))
    label = np.arange(config.probes) % NUM_CLASSES
    return Jobs(noise.astype(np.float32), label.astype(np.int32))


def _agreement(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of probes ``[A]`` whose hash is, or is nearly, that of the first replica.

    Args:
        images: ``[A, K, probes, 32, 32]``.
    """
    flat = hashes.perceptual(as_bytes(images).reshape(-1, SIDE, SIDE), HASH)
    words = np.asarray(flat.words).reshape(*images.shape[:3], -1)
    apart = np.asarray(hashes.hamming(words[:, 1:], words[:, :1]))
    return (apart == 0).mean(axis=(1, 2)), (apart <= CLOSE).mean(axis=(1, 2))


def _loss(model: flow.Flow) -> Callable[[Params, PyTree], jax.Array]:
    """Flow-matching loss of given noise and times, of which the type of the images is kept."""

    def loss(params: Params, batch: PyTree) -> jax.Array:
        t = batch["time"] / jnp.float32(TIMES)
        noise, image = batch["noise"], batch["image"]
        x = model.path.point(noise, image, t)
        state = flow.Noised(x, t, noise, image, model.path.velocity(noise, image, t))
        return jnp.mean(flow.losses_at(model, params, state, batch["label"]))

    return loss
