"""Bristle: laws of each mechanism, against plain numpy and scikit-learn."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from jaxswarm import data, gossip, learning, models, rollout, topology
from jaxswarm.systems import bristle

N, F, C, T = 6, 5, 4, 12
GRAPH = topology.complete(N)
KEY = jax.random.key(3)
ROUND = gossip.Exchange(jnp.int32(0))
RULE = bristle.performance_based(GRAPH)  # one object, so that its compiled programs are shared
F1_SCORES = jax.jit(bristle.f1_scores, static_argnums=3)
PRIORITIZE = jax.jit(bristle.prioritize, static_argnums=(3, 5))
THIRDS = jax.jit(bristle.thirds)
WEIGHTS = jax.jit(bristle.performance_weights)


def private(n=N, seed=0):
    """Private tests of ``n`` agents, three of four classes each."""
    rng = np.random.default_rng(seed)
    familiar = (np.arange(C)[None] - np.arange(n)[:, None]) % C < 3
    y = np.stack([rng.permutation(np.repeat(np.flatnonzero(row), T // 3)) for row in familiar])
    x = np.eye(F)[y] + 0.3 * rng.normal(size=(n, T, F))
    return bristle.Tests(
        jnp.asarray(x, jnp.float32),
        jnp.asarray(y, jnp.int32),
        jnp.ones((n, T)),
        jnp.asarray(familiar),
    )


def heads_of(n=N, seed=0, noise=0.5):
    rng = np.random.default_rng(seed)
    return jnp.asarray(np.eye(F)[:, :C] + noise * rng.normal(size=(n, F, C)), jnp.float32)


def merge(heads, context, rule=None, round=ROUND, messages=None, **extras):
    rule = RULE if rule is None else rule
    exchange = round._replace(messages=messages).with_extras(context=context, **extras)
    return jax.jit(rule.mix)(KEY, heads, rule.init(heads), exchange)


def slow_round(heads, tests, num_certain):
    """The integrator written by hand, on the complete graph."""
    heads, tests = np.asarray(heads, np.float64), jax.tree.map(np.asarray, tests)
    merged = []
    for i, own in enumerate(heads):
        x, y, familiar = tests.x[i], tests.y[i], tests.familiar[i]

        def score(head, x=x, y=y):
            return f1_score(y, (x @ head).argmax(1), labels=range(C), average=None, zero_division=0)

        mine, total, column = score(own), np.ones(C), own.copy()
        for j in range(len(heads)):
            if j == i:
                continue
            f1 = score(heads[j])
            shared = (familiar & tests.familiar[j]).sum()
            best = sorted(np.flatnonzero(familiar), key=lambda c: -f1[c])
            best = best[: shared if num_certain is None else num_certain]
            sure = max(0.0, np.mean(f1[best]) - np.std(f1[best]))
            scores = {}
            for c in best:
                d = 10 * abs(f1[c] - mine[c])
                scores[c] = d ** (3 + mine[c]) if f1[c] >= mine[c] else -(d ** (4 + mine[c]))
            for c in range(C):
                if familiar[c] and c not in scores:
                    continue
                value = max(scores[c], -100.0) if familiar[c] else sum(scores.values())
                weight = sure * max(0.0, 10 / (1 + np.exp(-max(value, -5e4) / 100)) - 4)
                total[c] += weight
                column[:, c] += weight * heads[j][:, c]
        merged.append(column / total)
    return np.stack(merged)


@pytest.mark.slow
@pytest.mark.parametrize("num_certain", [None, 1, 3])
def test_integration_equals_its_definition_in_numpy(num_certain):
    heads, tests = heads_of(noise=0.8), private()
    rule = bristle.performance_based(GRAPH, num_certain=num_certain) if num_certain else RULE
    got, _, traffic = merge(heads, tests, rule)
    np.testing.assert_allclose(got, slow_round(heads, tests, num_certain), atol=2e-5)
    assert float(traffic.messages) == N * (N - 1)
    assert float(traffic.bytes) == N * (N - 1) * F * C * 4


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, C))
def test_f1_is_that_of_scikit_learn(seed, classes):
    rng = np.random.default_rng(seed)
    y, predicted = rng.integers(0, C, T), rng.integers(0, classes, (3, T))
    weight = (rng.random(T) < 0.8).astype(np.float32)
    got = F1_SCORES(jnp.asarray(predicted), jnp.asarray(y), jnp.asarray(weight), C)
    real = weight > 0
    for row, own in zip(np.asarray(got), predicted, strict=True):
        expected = f1_score(y[real], own[real], labels=range(C), average=None, zero_division=0)
        np.testing.assert_allclose(row, expected, atol=1e-6)


def test_ties_weigh_their_certainty_and_much_worse_heads_zero():
    own = jnp.array([0.9, 0.8, 0.9, 0.0])
    familiar = jnp.array([True, True, True, False])
    f1 = jnp.stack([own, own - jnp.array([0.6, 0.6, 0.6, 0.0]), jnp.array([1.0, 1.0, 1.0, 0.0])])
    weights = WEIGHTS(own, f1, familiar, 3)
    sure = np.mean([0.9, 0.8, 0.9]) - np.std([0.9, 0.8, 0.9])
    np.testing.assert_allclose(weights.familiar[0], [sure, sure, sure, 0.0], rtol=1e-5)
    np.testing.assert_allclose(weights.foreign[0], sure, rtol=1e-5)
    assert not np.asarray(weights.familiar[1]).any()
    assert float(weights.foreign[1]) == 0.0
    assert (np.asarray(weights.familiar[2, :3]) > sure).all()
    assert float(weights.foreign[2]) > float(weights.foreign[0])
    assert (np.asarray(weights.familiar) <= 6.0).all()


def test_a_foreign_class_is_weighted_by_the_unbounded_sum():
    own = jnp.array([1.0, 1.0, 0.2, 0.0])
    familiar = jnp.array([True, True, True, False])
    # Much better in one class, much worse in another: bounded, the two would cancel.
    f1 = jnp.array([[1.0, 0.3, 1.0, 0.0]])
    weights = WEIGHTS(own, f1, familiar, 3)
    assert float(weights.foreign[0]) == 0.0
    assert float(weights.familiar[0, 2]) > 0.0
    # Scored by its two best classes only, it loses nothing for the one without data.
    two = WEIGHTS(own, f1, familiar, jnp.array([2]))
    assert float(two.foreign[0]) > 0.0
    np.testing.assert_array_equal(np.asarray(two.familiar[0]) > 0, [True, False, True, False])


def test_identical_and_worse_heads_do_not_change_the_own_head():
    tests = private()
    same = jnp.broadcast_to(heads_of()[0], (N, F, C))
    np.testing.assert_allclose(merge(same, tests)[0], same, atol=1e-6)
    good = jnp.broadcast_to(jnp.eye(F)[:, :C], (N, F, C))
    for bad in (-5.0 * good, jnp.roll(good, 1, axis=2)):
        got, _, _ = merge(good, tests, messages=bad)
        np.testing.assert_array_equal(got, good)


def test_the_order_of_the_neighbours_does_not_matter():
    heads, tests = heads_of(), private()
    order = np.array([0, 4, 2, 5, 1, 3])
    expected, _, _ = merge(heads, tests)
    got, _, _ = merge(heads[order], jax.tree.map(lambda x: x[order], tests))
    np.testing.assert_allclose(got, expected[order], atol=1e-5)
    few = bristle.performance_based(GRAPH, quota=2, selection="nearest")
    expected, _, _ = merge(heads, tests, few)
    got, _, _ = merge(heads[order], jax.tree.map(lambda x: x[order], tests), few)
    np.testing.assert_allclose(got, expected[order], atol=1e-5)


def test_a_head_that_shares_no_class_has_no_weight():
    heads, tests = heads_of(), private()
    public = tests.familiar.at[2].set(False)
    got, _, _ = merge(heads, tests, public=public)
    cut = jnp.asarray(GRAPH.senders != 2)
    expected, _, _ = merge(heads, tests, round=gossip.Exchange(0, delivered=cut))
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("poison", [np.nan, np.inf, 3e38])
def test_a_head_that_is_not_finite_is_dropped(poison):
    heads, tests = heads_of(), private()
    poisoned = heads.at[2].set(poison)
    got, _, traffic = merge(heads, tests, messages=poisoned)
    cut = jnp.asarray(GRAPH.senders != 2)
    expected, _, _ = merge(heads, tests, round=gossip.Exchange(0, delivered=cut))
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert float(traffic.messages) == N * (N - 1)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.integers(1, 40), st.floats(0.0, 1.0, width=32))
def test_shares_of_the_thirds_are_exact(count, quota, alpha):
    take = np.asarray(THIRDS(count, quota, alpha))
    sizes = np.diff([0, -(-count // 3), (2 * count + 2) // 3, count])
    assert take.sum() == min(count, quota)
    assert (take >= 0).all()
    assert (take <= sizes).all()
    share = np.array([(1 - alpha) ** 2, 2 * alpha * (1 - alpha), alpha**2]) * min(count, quota)
    if (np.ceil(share) <= sizes).all():
        assert (np.abs(take - share) < 1.0).all()


def test_shares_as_published():
    np.testing.assert_array_equal(bristle.thirds(300, 25, 0.4), [9, 12, 4])  # .36, .48, .16
    np.testing.assert_array_equal(bristle.thirds(14, 10, 0.4), [4, 5, 1])
    np.testing.assert_array_equal(bristle.thirds(30, 8, 0.0), [8, 0, 0])
    np.testing.assert_array_equal(bristle.thirds(30, 12, 1.0), [2, 0, 10])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(bristle.SELECTIONS))
def test_selected_heads(seed, selection):
    rng = np.random.default_rng(seed)
    slots, quota = 21, 9
    distances, valid = rng.random(slots).astype(np.float32), rng.random(slots) < 0.7
    slot, real = PRIORITIZE(
        jax.random.key(seed), jnp.asarray(distances), jnp.asarray(valid), quota, 0.4, selection
    )
    chosen = np.asarray(slot)[np.asarray(real)]
    count = valid.sum()
    assert len(np.unique(chosen)) == len(chosen) == min(quota, count)
    assert valid[chosen].all()
    order = np.flatnonzero(valid)[np.argsort(distances[valid])]
    if selection == "thirds":
        ends = [0, -(-count // 3), (2 * count + 2) // 3, count]
        take = THIRDS(int(count), quota, 0.4)
        for third, expected in enumerate(np.asarray(take)):
            drawn = np.isin(chosen, order[ends[third] : ends[third + 1]])
            assert drawn.sum() == expected
    elif selection == "nearest":
        assert set(chosen) == set(order[:quota])
    elif selection == "mostly_nearest":
        assert set(order[: (4 * min(quota, count) + 4) // 5]) <= set(chosen)


def world(n=N, seed=0, learn=3):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(np.arange(C), 60))
    x = np.abs(np.eye(F)[y] + 0.2 * rng.normal(size=(len(y), F)))
    held = (np.arange(C)[None] - np.arange(n)[:, None]) % C < 3
    rows = [
        np.concatenate([np.flatnonzero(y == c)[9 * i : 9 * i + 9] for c in np.flatnonzero(h)])
        for i, h in enumerate(held)
    ]
    train = data.from_rows([r.reshape(-1, 9)[:, :learn].ravel() for r in rows], len(y))
    test = data.from_rows([r.reshape(-1, 9)[:, learn:].ravel() for r in rows], len(y))
    return data.from_arrays(x, y, num_classes=C), train, test


def learner(rule=None, **options):
    rule = RULE if rule is None else rule
    return bristle.bristle(rule, sample=data.minibatches(5), local=optax.adam(1e-2), **options)


def test_only_familiar_columns_are_copied_back():
    dataset, train, test = world()
    peers = bristle.peers(dataset, train, test)
    alone = gossip.identity()
    algorithm = learner(alone)
    start = bristle.centered(heads_of())
    state, info = jax.jit(algorithm.step)(KEY, algorithm.init(start), peers)
    moved = np.abs(np.asarray(state.params - start)).max(axis=1) > 1e-6
    np.testing.assert_array_equal(moved, peers.test.familiar)
    assert info.loss.shape == (N,)
    kept = bristle.keep_familiar(start, start + 1.0, peers.test.familiar)
    np.testing.assert_array_equal(np.asarray(kept - start)[:, 0] > 0.5, peers.test.familiar)


def test_columns_are_centred_before_learning():
    heads = heads_of()
    np.testing.assert_allclose(bristle.centered(heads).mean(axis=1), np.zeros((N, C)), atol=1e-6)


def test_battery():
    dataset, train, test = world()
    peers = bristle.peers(dataset, train, test)
    algorithm = learner()
    state = algorithm.init(jnp.zeros((N, F, C)))
    spec = jax.eval_shape(algorithm.step, KEY, state, peers)[0]
    chex.assert_trees_all_equal_shapes_and_dtypes(spec, state)
    chex.clear_trace_counter()
    step = jax.jit(chex.assert_max_traces(algorithm.step, n=1))
    new, _ = step(KEY, state, peers)
    newer, info = step(KEY, new, peers)
    chex.assert_tree_all_finite((newer, info))
    assert float(newer.traffic.total.bytes) == 2 * N * (N - 1) * F * C * 4


@pytest.mark.slow
def test_jit_equals_eager():
    dataset, train, test = world()
    peers = bristle.peers(dataset, train, test)
    algorithm = learner()
    state = algorithm.init(jnp.zeros((N, F, C)))
    eager, _ = algorithm.step(KEY, state, peers)
    jitted, _ = jax.jit(algorithm.step)(KEY, state, peers)
    chex.assert_trees_all_close(eager.params, jitted.params, atol=1e-6)


@pytest.mark.slow
def test_peers_learn_each_others_classes_in_spite_of_a_byzantine_one():
    dataset, train, test = world()
    peers = bristle.peers(dataset, train, test)
    byzantine = jnp.arange(N) == N - 1
    x, y = jnp.asarray(dataset.features), jnp.asarray(dataset.labels)

    def final(attack):
        rule = gossip.attacked(RULE, attack, byzantine)
        algorithm = learner(rule)
        state, _ = rollout(
            algorithm.step,
            algorithm.init(jnp.zeros((N, F, C))),
            60,
            key=KEY,
            inputs=peers,
            every=60,
        )
        return jax.vmap(lambda h: models.accuracy(x @ h, y))(state.params)[:-1]

    noise = gossip.attacks.one_sided_noise(0.5)
    calm, attacked = jax.jit(lambda: (final(gossip.attacks.no_attack()), final(noise)))()
    assert float(calm.min()) > 0.8  # three classes of four would be 0.75 at best
    assert float(attacked.min()) > 0.8


def test_absent_peers_keep_their_heads():
    dataset, train, test = world()
    peers = bristle.peers(dataset, train, test)
    here = jnp.arange(N) != 2
    network = learning.Network(
        lambda: (), lambda key, state, index: ((), gossip.Exchange(index, participates=here))
    )
    algorithm = learner(network=network)
    start = heads_of()
    state, _ = jax.jit(algorithm.step)(KEY, algorithm.init(start), peers)
    still = np.abs(np.asarray(state.params - start)).reshape(N, -1).max(axis=1) == 0
    np.testing.assert_array_equal(still, ~np.asarray(here))


@pytest.mark.slow
def test_a_head_over_a_body():
    dataset, _, _ = world()
    body = models.functional(models.mlp(16, 8), dataset.features[:1])
    network = bristle.with_head(body, 8, C)
    params = bristle.pretrained(KEY, network, dataset, steps=100, local=optax.adam(1e-2))
    inputs = bristle.features(body, params["body"], dataset.features)
    assert inputs.shape == (240, 8)
    assert float(inputs.min()) == 0.0
    np.testing.assert_allclose(
        network.apply(params, dataset.features), inputs @ params["head"], atol=1e-5
    )
    assert float(models.accuracy(inputs @ params["head"], jnp.asarray(dataset.labels))) > 0.7


BAD_OPTIONS = {
    "quota": ({"quota": 0}, "quota: expected a whole number of at least 1"),
    "alpha": ({"alpha": 1.1}, "alpha: expected a finite number in"),
    "selection": ({"selection": "nearst"}, "did you mean 'nearest'"),
    "num_certain": ({"num_certain": 0}, "num_certain: expected a whole number of at least 1"),
}


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_bad_options_are_refused(name):
    options, message = BAD_OPTIONS[name]
    with pytest.raises(ValueError, match=message):
        bristle.performance_based(GRAPH, **options)


def test_bad_heads_and_tests_are_refused():
    tests, heads = private(), heads_of()
    rule = RULE

    def refused(expected, heads=heads, messages=None, rule=rule, **changes):
        context = tests._replace(**changes) if changes else tests
        with pytest.raises(ValueError, match=expected):
            rule.mix(KEY, heads, (), ROUND._replace(messages=messages).with_extras(context=context))

    refused("context.x: expected shape", x=tests.x[:, :, :-1])
    refused("agent 3 has labels not in", y=tests.y.at[3, 0].set(C))
    refused("agent 1 has no test data", weight=tests.weight.at[1].set(0.0))
    refused("agent 2 is familiar with fewer", familiar=tests.familiar.at[2].set(False))
    public = ROUND.with_extras(context=tests, public=tests.familiar[:, :-1])
    with pytest.raises(ValueError, match="public: expected flags"):
        rule.mix(KEY, heads, (), public)
    refused("heads: expected one array", heads={"w": heads})
    refused("messages: expected the parameters' shapes", messages=heads[:, :, :-1])
    refused(
        "num_certain: expected at most", rule=bristle.performance_based(GRAPH, num_certain=C + 1)
    )
    with pytest.raises(ValueError, match="context: expected Tests"):
        rule.mix(KEY, heads, (), ROUND)
    with pytest.raises(ValueError, match="local_steps"):
        learner(local_steps=0)
    with pytest.raises(ValueError, match="expected heads"):
        learner().init(jnp.zeros((N, F)))


def test_bad_peers_are_refused():
    dataset, train, test = world()

    def refused(expected, train=train, test=test, dataset=dataset, **options):
        with pytest.raises(ValueError, match=expected):
            bristle.peers(dataset, train, test, **options)

    rows = [train.rows(i) for i in range(N)]
    size = dataset.num_samples
    refused("fewer than 4", num_certain=4)
    refused("num_certain: expected a whole number of at least 1", num_certain=0)
    refused("agent 0 would test on row", test=train)
    refused("of train, got 5", test=data.from_rows(rows[:-1], size))
    empty = data.from_rows([*rows[:-1], []], size, allow_empty=True)
    refused("agent 5 has no test data", test=empty)
    refused("agent 5 has no train data", train=empty)
    short = [test.rows(i) for i in range(N)]
    short[1] = short[1][dataset.labels[short[1]] != 1]
    refused("agent 1 learns class 1 but has no test", test=data.from_rows(short, size))
    images = data.from_arrays(dataset.features[:, None], dataset.labels)
    refused("expected features", dataset=images)


def test_bad_bodies_are_refused():
    dataset, _, _ = world()
    normalized = models.functional(models.mlp(4, 3, norm="batch"), dataset.features[:1])
    plain = models.functional(models.mlp(3), dataset.features[:1])
    if normalized.has_stats:
        with pytest.raises(ValueError, match="body: expected a network without"):
            bristle.with_head(normalized, 3, C)
    with pytest.raises(ValueError, match="num_classes: expected a whole number of at least 1"):
        bristle.with_head(plain, 3, 0)
    with pytest.raises(ValueError, match="steps"):
        bristle.pretrained(KEY, bristle.with_head(plain, 3, C), dataset, steps=0)
