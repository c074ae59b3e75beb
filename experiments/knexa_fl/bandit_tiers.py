"""Two tiers without models: linear rewards of directed roles, and synergy of exchangeable roles.

* **Roles.** As in the published minimal simulator: 16 agents with contexts of 16 numbers, rewards
  linear in the concatenated contexts, noise 0.15, all agents paired in every round. Roles are
  directed here; the published code orders the two agents of a pair by their index.
* **Synergy.** Rewards are symmetric: a sum of the divergence of the two agents' data and of how
  much their scores differ. In *agreeing* worlds both count positively, in *conflicting* ones
  divergence counts negatively. Which agent of a pair stands first is drawn anew in every round.
  Concatenated profiles are additive: with all agents paired every matching has the same score.
  Each agent's own share is taken out of the two terms (their rows have mean 0), which changes every
  matching of all agents by the same number. (A pilot left it in, and concatenated profiles had 0.78
  of random's regret: greedy matching pairs agents of high value with each other. Some of that
  remains: two agents whose rewards were high rise together in the order of values. The order of a
  pair was fixed in that pilot, too; it is drawn anew since, and the ratio became 0.86.)

These rewards are formulas over profiles: the tiers test the matchmaker, not the method's headline.

Shapes: ``S`` seeds, ``T`` rounds, ``N`` agents, ``K = N / 2`` pairs.
"""

from collections.abc import Callable
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.knexa_fl.config import Config
from jaxswarm import agents
from jaxswarm.systems import knexa_fl

CONTEXT = 16
NOISE = {"roles": 0.15, "synergy": 0.3}
WEIGHTS = {"agreeing": (1.0, 1.0), "conflicting": (-0.5, 1.0)}
"""Of the divergence of data and of the difference of scores in the synergy tier."""

LINUCB, RANDOM, JS_GREEDY, GREEDY_ORACLE = "LinUCB", "random", "JS-greedy", "greedy oracle"
CONCAT, PAIRWISE = "concat", "pairwise"


def run_roles(key: jax.Array, config: Config) -> dict[str, np.ndarray]:
    """Regret per round of LinUCB and of random pairs, ``{arm: float[S, T]}``."""
    n = config.clients
    num_features = 2 * CONTEXT
    maker = knexa_fl.matchmaker(n, num_features, num_pairs=n // 2, beta0=1.25, normalize=False)

    def world(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        keys = jax.random.split(key)
        wave = jnp.sin(jnp.linspace(0, 2 * jnp.pi, CONTEXT)[None] + jnp.arange(n)[:, None])
        context = jax.random.normal(keys[0], (n, CONTEXT)) + 0.25 * wave
        context -= context.mean(axis=1, keepdims=True)
        context /= context.std(axis=1, keepdims=True) + 1e-6
        theta = jax.random.normal(keys[1], (num_features,))
        square = (n, n, CONTEXT)
        teacher = jnp.broadcast_to(context[:, None], square)
        x = jnp.concatenate([teacher, jnp.broadcast_to(context[None], square)], axis=-1)
        return x, x @ (theta / jnp.linalg.norm(theta))

    def run_seed(key: jax.Array, features: jax.Array, means: jax.Array) -> jax.Array:
        return _learn(maker, lambda *_: features, NOISE["roles"], config.bandit_rounds, key, means)

    keys = agents.keys(key, config.bandit_seeds)
    features, means = jit_fast_compile(jax.vmap(world), level=0)(keys)
    values = {
        LINUCB: jit_fast_compile(jax.vmap(run_seed), level=1, plain=True)(keys, features, means),
        RANDOM: _pair_by_scores(config, keys, jnp.full_like(means, jnp.nan), means),
    }
    return _regrets(means, values)


def run_synergy(key: jax.Array, config: Config) -> dict[str, dict[str, np.ndarray]]:
    """Regret per round in worlds with synergy, ``{world: {arm: float[S, T]}}``."""
    n, rounds = config.clients, config.synergy_rounds
    keys = agents.keys(key, config.bandit_seeds)
    profiles, divergence, difference = jit_fast_compile(jax.vmap(partial(_profiles, n)), level=0)(
        keys
    )
    num_features = knexa_fl.NUM_FEATURES[PAIRWISE]
    maker = knexa_fl.matchmaker(n, num_features, num_pairs=n // 2)
    terms = jnp.arange(num_features) >= knexa_fl.NUM_FEATURES[CONCAT]

    def run_seed(
        concat: jax.Array, means: jax.Array, profiles: jax.Array, key: jax.Array
    ) -> jax.Array:
        def features(history: knexa_fl.History, key: jax.Array) -> jax.Array:
            x = knexa_fl.pair_features(PAIRWISE, profiles, history)
            x = jnp.where(concat & terms[None, None], 0.0, x)  # columns of zeros have no influence
            above = jnp.triu(jax.random.bernoulli(key, shape=(n, n)), 1)
            first = above | jnp.tril(~above.T, -1)  # either (i, j) or (j, i), at random
            return jnp.where(first[..., None], x, x.swapaxes(0, 1))

        return _learn(maker, features, NOISE["synergy"], rounds, key, means)

    over_seeds = jax.vmap(run_seed, in_axes=(None, 0, 0, 0))
    over_kinds = jax.vmap(over_seeds, in_axes=(0, None, None, None))
    learn = jit_fast_compile(over_kinds, level=1, plain=True)
    results = {}
    for name, (first, second) in WEIGHTS.items():
        means = first * divergence + second * difference
        learnt = learn(jnp.array([True, False]), means, profiles, keys)
        others = [
            _pair_by_scores(config, keys, scores, means)[:, :rounds]
            for scores in (divergence, means, jnp.full_like(means, jnp.nan))
        ]
        arms = (CONCAT, PAIRWISE, JS_GREEDY, GREEDY_ORACLE, RANDOM)
        results[name] = _regrets(means, dict(zip(arms, [*learnt, *others], strict=True)))
    return results


def _profiles(n: int, key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Profiles ``[N, 32]`` and the two terms of rewards ``[N, N]``, rows of mean 0."""
    keys = jax.random.split(key, 3)
    scores = jax.random.beta(keys[0], 0.5, 0.5, (n, knexa_fl.NUM_SCORES))
    histogram = jax.random.dirichlet(keys[1], jnp.full(knexa_fl.NUM_BINS, 0.3), (n,))
    family = jax.random.randint(keys[2], (n,), 0, 4)
    profiles = knexa_fl.make_profiles(family, scores, histogram)
    divergence = knexa_fl.js_divergence(histogram[:, None], histogram[None])
    difference = jnp.mean(jnp.abs(scores[:, None] - scores[None]), axis=-1)
    other = ~jnp.eye(n, dtype=bool)

    def synergy(x: jax.Array) -> jax.Array:
        total = jnp.sum(x, axis=1, where=other)
        own = (total - jnp.sum(total) / (2 * (n - 1))) / (n - 2)
        x = x - own[:, None] - own[None]
        return x / jnp.std(x, where=other)

    return profiles, synergy(divergence), synergy(difference)


def _learn(
    maker: knexa_fl.Matchmaker,
    features: Callable[[knexa_fl.History, jax.Array], jax.Array],
    noise: float,
    rounds: int,
    key: jax.Array,
    means: jax.Array,
) -> jax.Array:
    """Sum of the expected rewards of a matchmaker's pairs in each round, ``float32[T]``."""

    def step(state: knexa_fl.MatchmakerState, index: jax.Array) -> tuple:
        keys = jax.random.split(jax.random.fold_in(key, index), 3)
        state, pairs = maker.choose(keys[0], state, features(state.history, keys[2]))
        rewards = means[pairs.teachers, pairs.students]
        rewards += noise * jax.random.normal(keys[1], rewards.shape)
        return maker.feedback(state, pairs, rewards), knexa_fl.matching_value(means, pairs)

    return jax.lax.scan(step, maker.init(), jnp.arange(rounds))[1]


def _pair_by_scores(
    config: Config, keys: jax.Array, scores: jax.Array, means: jax.Array
) -> jax.Array:
    """Sum of expected rewards of greedy pairs by fixed scores, at random where they are NaN.

    Args:
        config: sizes; as many rounds as the longer of the two tiers has, one program for both.
        keys: of the seeds.
        scores: ``[S, N, N]``.
        means: ``[S, N, N]``, expected rewards.

    Returns:
        ``float32[S, T]``.
    """
    return _pairing(max(config.bandit_rounds, config.synergy_rounds))(keys, scores, means)


@cache
def _pairing(rounds: int) -> Callable[..., jax.Array]:
    """The jitted program of :func:`_pair_by_scores`."""

    def run_seed(key: jax.Array, scores: jax.Array, means: jax.Array) -> jax.Array:
        def one(index: jax.Array) -> jax.Array:
            drawn = jax.random.uniform(jax.random.fold_in(key, index), means.shape)
            filled = jnp.where(jnp.isnan(scores), drawn, scores)
            pairs = knexa_fl.greedy_matching(filled, means.shape[0] // 2)
            return knexa_fl.matching_value(means, pairs)

        return jax.lax.map(one, jnp.arange(rounds))

    return jit_fast_compile(jax.vmap(run_seed), level=0)


def _regrets(means: jax.Array, values: dict[str, jax.Array]) -> dict[str, np.ndarray]:
    """Largest sum of expected rewards of disjoint pairs minus each arm's, ``float64[S, T]``."""
    half = means.shape[-1] // 2
    best = np.array(
        [knexa_fl.matching_value(m, knexa_fl.optimal_matching(m, half)) for m in np.asarray(means)]
    )
    return {name: best[:, None] - np.asarray(value, np.float64) for name, value in values.items()}
