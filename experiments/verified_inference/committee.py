"""Committees of nodes that run a model under real execution profiles, against a coalition.

Shapes: ``S`` seeds, ``P`` profiles, ``X`` test images, ``C`` classes, ``R`` requests, ``N`` nodes,
``k`` members, ``F`` shares of Byzantine nodes, ``K`` sizes of committees.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.verified_inference.config import Config
from experiments.verified_inference.splitting import Images, Variant, forward
from jaxswarm.trust import committees
from jaxswarm.types import Key, Params

PROFILES = (
    "float32, whole batch",
    "float32, one by one",
    "float32, op by op, batches of 7",
    "bfloat16, whole batch",
    "bfloat16, one by one",
)
SWAPPED, CHEAPER, FLATTENED = "labels swapped", "smaller model", "flattened"
ATTACKS = (SWAPPED, CHEAPER, FLATTENED)
TOTAL, KL, LABELS, BITS = "total variation", "symmetric KL", "majority of labels", "equal bits"
RULES = (TOTAL, KL, LABELS, BITS)
WHOLE = Variant(0, 0.0, 0.0, 1.0)
FLATTER = 0.5  # power to which the flattened distribution is raised


def profiles(config: Config, params: Params, x: jax.Array) -> np.ndarray:
    """Distributions of one model under real executions ``[P, X, C]``.

    Batch size, padding, compilation and number format differ; nothing is added by hand.
    """

    def predict(params: Params, x: jax.Array) -> jax.Array:
        return jax.nn.softmax(forward(config, params, x, WHOLE)[0])

    def half(params: Params, x: jax.Array) -> jax.Array:
        weights, pixels = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), (params, x))
        return jax.nn.softmax(forward(config, weights, pixels, WHOLE)[0]).astype(jnp.float32)

    compiled, compiled_half = _jitted(config, predict), _jitted(config, half)
    whole = compiled(params, x)
    single = np.concatenate([compiled(params, row[None]) for row in x])
    padded = jnp.pad(x, ((0, -len(x) % 7), (0, 0)))
    with jax.disable_jit():
        eager = np.concatenate(
            [predict(params, padded[i : i + 7]) for i in range(0, len(padded), 7)]
        )[: len(x)]
    low = compiled_half(params, x)
    low_single = np.concatenate([compiled_half(params, row[None]) for row in x])
    return np.stack([np.asarray(each) for each in (whole, single, eager, low, low_single)])


_COMPILED: dict[tuple[Config, str], Callable[..., jax.Array]] = {}


def _jitted(config: Config, fn: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """One compiled function for all seeds."""
    return _COMPILED.setdefault((config, fn.__name__), jax.jit(fn))


def run(
    config: Config, images: Images, models: Params, smaller: Params, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Calibrate, raise false alarms, attack, and follow stakes.

    Args:
        config: sizes of the run.
        images: of :func:`experiments.verified_inference.splitting.load`.
        models: honest models, leaves ``[S, …]``.
        smaller: the model that a coalition runs to save work, leaves ``[S, …]``.
        progress: is called as each part begins.

    Returns:
        ``distance [P, P]``, mean total variation of the first seed's profiles; ``tolerance {rule:
        [S]}``; ``false_alarms {rule: [K, S]}``; ``detection`` and ``flagged {attack: {rule: [F, K,
        S]}}``; ``law [F, K]``; ``resolved {attack: [S]}``, share of the wrong outputs that differ
        from the right one by more than the tolerance; ``stakes``, see :func:`_stakes`.
    """
    seeds = range(config.seeds)
    half = len(images.test_x) // 2
    outputs, calibration, wrong = [], [], []
    for s in seeds:
        own, small = jax.tree.map(lambda leaf, s=s: leaf[s], (models, smaller))
        found = profiles(config, own, images.test_x)
        calibration.append(found[:, :half])
        outputs.append(found[:, half:])
        cheap = _jitted(config, _smaller(config))(small, images.test_x[half:])
        wrong.append(_wrong_outputs(found[0, half:], np.asarray(cheap)))
    tolerance = {
        TOTAL: [committees.calibrate(c, rate=config.calibration_rate) for c in calibration],
        KL: [
            committees.calibrate(c, rate=config.calibration_rate, metric="symmetric_kl")
            for c in calibration
        ],
    }
    table = jnp.asarray(np.stack(outputs))  # [S, P, X, C]
    wrong_table = jnp.asarray(np.stack(wrong))  # [S, attacks, X, C]
    limits = jnp.asarray(np.stack([tolerance[TOTAL], tolerance[KL]], axis=1), jnp.float32)
    keys = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), 4), config.seeds)

    alarms: dict[str, list[np.ndarray]] = {rule: [] for rule in RULES}
    detection: dict[str, dict[str, list[np.ndarray]]] = {
        attack: {rule: [] for rule in RULES} for attack in ATTACKS
    }
    shares: dict[str, dict[str, list[np.ndarray]]] = {
        attack: {rule: [] for rule in RULES} for attack in ATTACKS
    }
    law = np.zeros((len(config.byzantine), len(config.sizes)))
    for column, size in enumerate(config.sizes):
        progress(f"committees of {size}")
        program = _program(config, size)
        counts = jnp.asarray([0] + [round(f * config.nodes) for f in config.byzantine])
        flagged, wrong_accepted, caught = program(keys, table, wrong_table, limits, counts)
        for place, rule in enumerate(RULES):
            alarms[rule].append(np.asarray(flagged)[:, 0, place])
            for which, attack in enumerate(ATTACKS):
                found = 1.0 - np.asarray(wrong_accepted)[:, 1:, which, place].T  # [F, S]
                detection[attack][rule].append(found)
                shares[attack][rule].append(np.asarray(caught)[:, 1:, which, place].T)
        for row, share in enumerate(config.byzantine):
            law[row, column] = committees.detection_probability(
                config.nodes, round(share * config.nodes), size
            )
    resolved = {}
    for which, attack in enumerate(ATTACKS):
        away = 0.5 * np.abs(np.stack(wrong)[:, which] - np.stack(outputs)[:, 0]).sum(-1)
        resolved[attack] = (away > np.asarray(tolerance[TOTAL])[:, None]).mean(axis=1)
    progress("stakes")
    first = np.stack(outputs)[0]
    distance = 0.5 * np.abs(first[:, None] - first[None]).sum(-1).mean(-1)
    return {
        "distance": distance,
        "tolerance": {rule: np.asarray(values) for rule, values in tolerance.items()},
        "false_alarms": {rule: np.stack(values) for rule, values in alarms.items()},
        "detection": {
            attack: {rule: np.stack(values, axis=1) for rule, values in by_rule.items()}
            for attack, by_rule in detection.items()
        },
        "flagged": {
            attack: {rule: np.stack(values, axis=1) for rule, values in by_rule.items()}
            for attack, by_rule in shares.items()
        },
        "law": law,
        "resolved": resolved,
        "stakes": _stakes(config, keys, table, wrong_table, limits),
    }


def _smaller(config: Config) -> Callable[..., jax.Array]:
    def predict_smaller(params: Params, x: jax.Array) -> jax.Array:
        return jax.nn.softmax(forward(config, params, x, WHOLE._replace(units=config.smaller))[0])

    return predict_smaller


def _wrong_outputs(right: np.ndarray, cheap: np.ndarray) -> np.ndarray:
    """Outputs of the coalition ``[attacks, X, C]``: two best swapped, smaller model, flattened."""
    order = np.argsort(-right, axis=1)
    swapped = right.copy()
    rows = np.arange(len(right))
    swapped[rows, order[:, 0]] = right[rows, order[:, 1]]
    swapped[rows, order[:, 1]] = right[rows, order[:, 0]]
    flat = right**FLATTER
    return np.stack([swapped, cheap, flat / flat.sum(axis=1, keepdims=True)])


def _decisions(outputs: jax.Array, limits: jax.Array) -> list[committees.Decision]:
    """Decisions of all rules, in the order of :data:`RULES`."""
    return [
        committees.decide(outputs, limits[0]),
        committees.decide(outputs, limits[1], metric="symmetric_kl"),
        committees.label_majority(outputs),
        committees.decide(outputs, 0.0),
    ]


def _members_outputs(
    table: jax.Array, wrong: jax.Array, profile: jax.Array, image: jax.Array, members: jax.Array,
    count: jax.Array,
) -> tuple[jax.Array, jax.Array]:  # fmt: skip
    """Outputs ``[attacks, R, k, C]`` of members, and which are Byzantine ``[R, k]``.

    Nodes below ``count`` are Byzantine; members are drawn at random, so these stand for any.
    """
    byzantine = members < count
    right = table[profile[members], image[:, None]]
    bad = wrong[:, image][:, :, None]  # [attacks, R, 1, C]
    return jnp.where(byzantine[None, ..., None], bad, right[None]), byzantine


def _chosen_is_byzantine(found: committees.Decision, byzantine: jax.Array) -> jax.Array:
    """Whether the accepted output is a Byzantine member's ``[...]``."""
    chosen = jnp.argmin(found.spread, axis=-1)[..., None]
    flags = jnp.broadcast_to(byzantine, found.spread.shape)
    return found.accepted & jnp.take_along_axis(flags, chosen, axis=-1)[..., 0]


def _profiles(config: Config, key: Key) -> jax.Array:
    """A profile for each node ``[N]``."""
    return jax.random.randint(key, (config.nodes,), 0, len(PROFILES))


def _program(config: Config, size: int) -> Callable[..., tuple[jax.Array, ...]]:
    """Compiled shares ``([S, 1 + F, rules], [S, 1 + F, attacks, rules], the same)``.

    The first are committees in which a member was flagged or nothing accepted, the second those
    whose accepted output is a Byzantine member's, the third is the share of Byzantine members that
    are flagged where they are a minority.
    """

    def one(
        key: Key, table: jax.Array, wrong: jax.Array, limits: jax.Array, count: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        draw, profile_key, image_key = jax.random.split(key, 3)
        members = committees.draw_committees(draw, config.requests, config.nodes, size)
        image = jax.random.randint(image_key, (config.requests,), 0, table.shape[1])
        outputs, byzantine = _members_outputs(
            table, wrong, _profiles(config, profile_key), image, members, count
        )
        alarms, accepted, caught = [], [], []
        minority = jnp.sum(byzantine, axis=1) * 2 < size
        deviating = byzantine & minority[:, None]
        for found in _decisions(outputs, limits):
            alarm = jnp.any(found.flagged, axis=-1) | ~found.accepted
            alarms.append(jnp.mean(alarm[0]))
            accepted.append(jnp.mean(_chosen_is_byzantine(found, byzantine), axis=-1))
            number = jnp.sum(found.flagged & deviating[None], axis=(-1, -2))
            caught.append(number / jnp.maximum(jnp.sum(deviating), 1))
        return jnp.stack(alarms), jnp.stack(accepted, axis=-1), jnp.stack(caught, axis=-1)

    def over_counts(key: Key, table: Any, wrong: Any, limits: Any, counts: jax.Array) -> Any:
        keys = jax.random.split(key, len(counts))
        return jax.vmap(lambda k, c: one(k, table, wrong, limits, c))(keys, counts)

    @functools.partial(jit_fast_compile, level=1, plain=True)
    def program(
        keys: Key, table: jax.Array, wrong: jax.Array, limits: jax.Array, counts: jax.Array
    ) -> tuple[jax.Array, ...]:
        def of_seed(each: tuple[Key, jax.Array, jax.Array, jax.Array]) -> Any:
            key, right, bad, limit = each
            return over_counts(key, right, bad, limit, counts)

        return jax.lax.map(of_seed, (keys, table, wrong, limits))

    return program


def _stakes(
    config: Config, keys: Key, table: jax.Array, wrong: jax.Array, limits: jax.Array
) -> dict[str, np.ndarray]:
    """Committees drawn by stake, with and without penalties.

    Returns:
        ``wrong [2, S, T]``, share of a round's requests whose accepted output is a Byzantine
        member's, first without penalties; ``stake [2, S, T]``, Byzantine nodes' share of all
        stakes; ``slashed [S]``, share of honest nodes below half of their initial stake at the end.
    """
    count = round(config.stake_byzantine * config.nodes)
    size = config.stake_size

    def run(penalty: jax.Array, key: Key, table: Any, wrong: Any, limit: jax.Array) -> Any:
        def step(stakes: jax.Array, own: Key) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
            draw, rest = jax.random.split(own)
            luck = jax.random.gumbel(draw, (config.stake_requests, config.nodes))
            members = jax.lax.top_k(jnp.log(stakes + 1e-9)[None] + luck, size)[1]
            image = jax.random.randint(rest, (config.stake_requests,), 0, table.shape[1])
            outputs, byzantine = _members_outputs(
                table, wrong[:1], profile, image, members, jnp.asarray(count)
            )
            found = committees.decide(outputs[0], limit)
            bad = jnp.mean(_chosen_is_byzantine(found, byzantine))
            stakes = committees.settle(
                stakes, members, found.agrees, found.accepted, reward=0.01 * penalty,
                penalty=penalty,
            )  # fmt: skip
            share = jnp.sum(stakes[:count]) / jnp.sum(stakes)
            return stakes, (bad, share)

        profile = _profiles(config, jax.random.fold_in(key, 8))
        rounds = jax.random.split(jax.random.fold_in(key, 9), config.stake_rounds)
        stakes, (bad, share) = jax.lax.scan(step, jnp.ones((config.nodes,)), rounds)
        return bad, share, jnp.mean(stakes[count:] < 0.5)

    @functools.partial(jit_fast_compile, level=1, plain=True)
    def program(keys: Key, table: jax.Array, wrong: jax.Array, limits: jax.Array) -> Any:
        penalties = jnp.asarray([0.0, config.stake_penalty])
        return jax.vmap(
            lambda p: jax.vmap(lambda *each: run(p, *each))(keys, table, wrong, limits)
        )(penalties)

    bad, share, slashed = map(np.asarray, program(keys, table, wrong, limits[:, 0]))
    return {"wrong": bad, "stake": share, "slashed": slashed[1]}
