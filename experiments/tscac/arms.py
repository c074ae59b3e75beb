"""Run the exact part, the oracles, all arms on logs of the feed, and networked agents."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.harness.protocol import Results
from experiments.tscac import feeds, learners
from experiments.tscac.config import DISCOUNTS, METHODS, SEPARATE, Config
from experiments.tscac.networked import METHOD, TESTED, WEIGHT, team_of
from experiments.tscac.tabular import exact_part
from jaxswarm.rl import constrained, offline
from jaxswarm.types import Key, PyTree

ORACLES = (0.0, 0.01, 0.03, 0.1, 0.3)
"""Factors of the auxiliary responses in the oracles' sum of expected responses."""

LEARNED, ORACLE, LOGGED = range(3)


class Tested(NamedTuple):
    """Policies to be tested, leaves ``[P, …]``.

    Attributes:
        kind: ``LEARNED``, ``ORACLE`` or ``LOGGED``.
        actor: weights.
        auxiliary: states of the auxiliary policies.
        numbers: of the learner.
        weights: ``[P, m]``, of the expected responses, for oracles.
    """

    kind: Any
    actor: PyTree
    auxiliary: PyTree
    numbers: Any
    weights: Any


class Programs(NamedTuple):
    """Compiled functions that all seeds share."""

    write: Any
    stage_one: Any
    one_critic: Any
    separate: Any
    test: Any
    estimate: Any
    critics: Any
    team: Any


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Run all parts.

    Returns:
        ``exact``: see :func:`experiments.tscac.tabular.exact_part`; ``online``: ``{method: [S, G,
        m]}``, expected responses of a session in the simulator; ``requests``: ``{method: [S, G]}``;
        ``log``: ``[S, m]``, of the logged policy, and ``log_requests [S]``; ``oracle``: ``[S, O,
        m]``; ``estimate``: ``{method: [S, G, m]}``, responses of a request estimated from the
        held-out log, NaN where the effective sample size is below the floor; ``effective``:
        ``{method: [S, G]}``; ``correlation``: ``{critic: [S, m]}``; ``networked``: ``{arm: [S,
        m]}``.
    """
    progress("exact part")
    results: Results = {"exact": exact_part(config)}
    programs = make_programs(config)
    found = []
    for s in range(config.seeds):
        progress(f"feed, seed {s}")
        key = jax.random.fold_in(jax.random.key(config.seed), s)
        found.append(jax.tree.map(np.asarray, one_seed(key, config, programs)))
    merged = jax.tree.map(lambda *x: np.stack(x), *found)
    return results | merged


def make_programs(config: Config) -> Programs:
    """Compile lazily what every seed runs."""
    network = feeds.make_network(config)
    feeds.feed(config)
    jit = functools.partial(jit_fast_compile, level=1)

    def write(key: Key) -> tuple[feeds.Log, feeds.Log]:
        log = feeds.write_log(key, config, config.users + config.held_out)
        return feeds.Log(*(x[: config.users] for x in log)), feeds.Log(
            *(x[config.users :] for x in log)
        )

    def two_stage(hp: Any) -> Any:
        return learners.two_stage(config, network, hp)

    def probabilities(arm: Tested, features: jax.Array) -> jax.Array:
        learner = two_stage(arm.numbers)
        main = jax.tree.map(lambda x: x[0], arm.auxiliary)._replace(actor=arm.actor)
        return learner.probabilities(constrained.ConstrainedState(main, arm.auxiliary), features)

    def test(key: Key, arms: Tested) -> Any:
        def one(arm: Tested) -> Any:
            def policy(seen: Any, expected: jax.Array) -> jax.Array:
                best = jnp.argmax(expected @ arm.weights, axis=1)
                learned = probabilities(arm, feeds.features_of(seen))
                oracle = jax.nn.one_hot(best, learned.shape[1])
                return jnp.stack([learned, oracle, feeds.logged_policy(seen)])[arm.kind]

            return feeds.play(key, config, policy)

        return jax.vmap(one)(arms)

    def estimate(log: feeds.Log, arms: Tested) -> Any:
        flat = log.features.reshape(-1, log.features.shape[-1])

        def one(arm: Tested) -> Any:
            table = probabilities(arm, flat)
            target = feeds.taken(table, log.actions.reshape(-1)).reshape(log.mask.shape)
            return offline.evaluation.ncis(feeds.interactions_of(log), target, floor=config.floor)

        found = jax.lax.map(one, arms)
        return found.value, found.effective_samples

    def critics(log: feeds.Log, joint: PyTree, own: PyTree) -> Any:
        """Correlations ``[m]`` of critics' values with discounted sums of expected responses."""
        flat = log.features.reshape(-1, log.features.shape[-1])
        weight = log.mask.reshape(-1).astype(jnp.float32)

        def value(critic: PyTree) -> jax.Array:
            return jax.vmap(lambda x: network.critic(critic, (), x)[1])(flat)

        def back(later: jax.Array, row: jax.Array) -> tuple[jax.Array, jax.Array]:
            here = row + jnp.asarray(DISCOUNTS)[None] * later
            return here, here

        earned = jnp.where(log.mask[..., None], log.expected, 0.0)
        _, returns = jax.lax.scan(
            back, jnp.zeros_like(earned[:, 0]), jnp.swapaxes(earned, 0, 1), reverse=True
        )
        returns = jnp.swapaxes(returns, 0, 1).reshape(len(flat), -1)

        def correlation(x: jax.Array, y: jax.Array) -> jax.Array:
            x, y = (z - (weight @ z) / weight.sum() for z in (x, y))
            return (weight @ (x * y)) / jnp.sqrt((weight @ (x * x)) * (weight @ (y * y)))

        shared = jax.vmap(value)(joint)[0]
        separate = jax.vmap(value)(own)
        return (
            jax.vmap(correlation, (None, 1))(shared, returns),
            jax.vmap(correlation, (0, 1))(separate, returns),
        )

    def separate(key: Key, rows: constrained.Transitions, hp: Any) -> PyTree:
        make = functools.partial(learners.separate, config, network)
        return learners.stage_two(key, config, make, rows, hp)

    return Programs(
        write=jit(write),
        stage_one=jit(lambda key, rows: learners.stage_one(key, config, network, rows)),
        one_critic=jit(
            lambda key, rows, hp, auxiliary: learners.stage_two(
                key, config, two_stage, rows, hp, auxiliary
            )
        ),
        separate=jit(separate),
        test=jit(test),
        estimate=jit(estimate),
        critics=jit(critics),
        team=jit(lambda key, rows: team_of(key, config, network, rows)),
    )


def one_seed(key: Key, config: Config, programs: Programs) -> Results:
    """Everything on one log."""
    network = feeds.make_network(config)
    log_key, key, test_key, team_key = jax.random.split(key, 4)
    log, held_out = programs.write(log_key)
    interactions = jax.tree.map(np.asarray, feeds.interactions_of(log))
    rows = constrained.transitions(interactions)
    mean = np.asarray(rows.rewards[: int(rows.count)], np.float64).mean(0).astype(np.float32)
    raw = interactions.rewards[interactions.mask].mean(0)
    auxiliary = programs.stage_one(key, rows)

    names = learners.arm_names()
    numbers = [learners.arm_numbers(config, network, *name, log=mean) for name in names]
    split = next(i for i, (method, _) in enumerate(names) if method in SEPARATE)
    first = programs.one_critic(key, rows, learners.stacked(numbers[:split]), auxiliary)
    second = programs.separate(key, rows, learners.stacked(numbers[split:]))
    arms = [
        learned(
            network, first if i < split else second, i if i < split else i - split, auxiliary, hp
        )
        for i, hp in enumerate(numbers)
    ]
    agents = np.unique(np.linspace(0, config.agents - 1, TESTED).astype(int))
    teams = programs.team(team_key, constrained.shard_users(interactions, config.agents))
    own = learners.arm_numbers(config, network, METHOD, WEIGHT, log=mean)
    arms += [
        learned(network, team.main, i, jax.tree.map(lambda x, i=i: x[i], team.auxiliary), own)
        for team in teams.values()
        for i in agents
    ]
    weights = np.array([[1.0, *(factor for _ in raw[1:])] for factor in ORACLES]) / np.maximum(
        np.abs(raw), 1e-6
    )
    arms += [arms[0]._replace(kind=ORACLE, weights=w.astype(np.float32)) for w in weights]
    arms += [arms[0]._replace(kind=LOGGED)]
    tested: Any = jax.tree.map(lambda *x: np.stack(x), *arms)
    sums, requests = map(np.asarray, programs.test(test_key, tested))
    count = len(names)
    value, effective = programs.estimate(held_out, jax.tree.map(lambda x: x[:count], tested))
    joint = [name for name, _ in names].index("joint critic of the log")
    apart = [name for name, _ in names].index("behavior cloning") - split
    shared, separate = programs.critics(
        held_out,
        jax.tree.map(lambda x: x[joint], first.critics),
        jax.tree.map(lambda x: x[apart], second.critics),
    )

    def by_method(values: Any) -> dict[str, np.ndarray]:
        values = np.asarray(values)
        return {
            method: np.stack([values[i] for i, name in enumerate(names) if name[0] == method])
            for method in METHODS
        }

    by_team = sums[count : count + 2 * len(agents)].reshape(2, len(agents), -1).mean(1)
    return {
        "online": by_method(sums),
        "requests": by_method(requests),
        "log": sums[-1],
        "log_requests": requests[-1],
        "oracle": sums[-1 - len(ORACLES) : -1],
        "estimate": by_method(value),
        "effective": by_method(effective),
        "correlation": {"joint": shared, "separate": separate},
        "networked": dict(zip(teams, by_team, strict=True)),
    }


def learned(network: Any, states: PyTree, at: int, auxiliary: PyTree, hp: Any) -> Tested:
    """A trained arm, with numbers whose shapes are the same for all arms."""
    none = np.zeros(len(DISCOUNTS) - 1, np.float32)
    hp = hp._replace(discounts=hp.discounts[:1], shares=none if len(hp.shares) == 1 else hp.shares)
    actor = jax.tree.map(lambda x: np.asarray(x[at]), states.actor)
    numbers = jax.tree.map(np.asarray, hp)
    others = jax.tree.map(np.asarray, auxiliary)
    return Tested(LEARNED, actor, others, numbers, np.zeros(len(DISCOUNTS), np.float32))
