"""Laws of ranking by pairwise comparisons, with choix and the trueskill package as oracles."""

import functools

import choix
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import trueskill as trueskill_package
from scipy.optimize import minimize

from jaxswarm.trust import ranking

K, M = 5, 24
KEY = jax.random.key(0)


@functools.cache
def fit(ridge=0.1):
    return jax.jit(functools.partial(ranking.bradley_terry, num_items=K, ridge=ridge))


@functools.cache
def comparisons(seed=0):
    rng = np.random.default_rng(seed)
    winners = rng.integers(0, K, M)
    losers = (winners + rng.integers(1, K, M)) % K
    return winners.astype(np.int32), losers.astype(np.int32), rng.random(M).astype(np.float32)


@pytest.mark.parametrize("ridge", [1e-3, 0.1, 2.0])
def test_the_fit_is_the_maximum_of_the_penalized_likelihood(ridge):
    winners, losers, weights = comparisons()

    def negative(s):
        margins = s[winners] - s[losers]
        return np.sum(weights * np.logaddexp(0.0, -margins)) + 0.5 * ridge * np.sum(s**2)

    best = minimize(negative, np.zeros(K), method="BFGS", options={"gtol": 1e-9}).x
    found = np.asarray(fit(ridge)(winners, losers, weights))
    np.testing.assert_allclose(found, best, atol=2e-4)
    assert abs(found.mean()) < 1e-5


def test_it_equals_choix():
    winners, losers, _ = comparisons()
    pairs = list(zip(winners.tolist(), losers.tolist(), strict=True))
    oracle = choix.opt_pairwise(K, pairs, alpha=0.05)  # alpha is half of the ridge
    found = np.asarray(fit()(winners, losers, np.ones(M, np.float32)))
    np.testing.assert_allclose(found, oracle - oracle.mean(), atol=1e-3)


def test_a_weight_is_a_number_of_repetitions():
    winners, losers, _ = comparisons()
    weights = np.arange(M) % 3
    repeated = [np.repeat(x, weights) for x in (winners, losers)]
    weighted = fit()(winners, losers, weights.astype(np.float32))
    plain = ranking.bradley_terry(*repeated, num_items=K)
    np.testing.assert_allclose(weighted, plain, atol=1e-4)


def test_comparisons_without_weight_have_no_influence():
    winners, losers, weights = comparisons()
    weights = np.where(np.arange(M) < 5, 0.0, weights).astype(np.float32)
    odd = np.where(np.arange(M) < 5, 99, winners).astype(np.int32)
    np.testing.assert_array_equal(fit()(odd, losers, weights), fit()(winners, losers, weights))


def test_an_item_that_never_loses_is_finite_and_parts_do_not_mix():
    found = np.asarray(ranking.bradley_terry([0, 0, 2], [1, 1, 3], num_items=5, ridge=1e-3))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0], -found[1], atol=1e-3)
    assert abs(found[4]) < 1e-4


def test_permuting_items_permutes_strengths():
    winners, losers, weights = comparisons()
    order = np.random.default_rng(1).permutation(K)
    moved = fit()(order[winners].astype(np.int32), order[losers].astype(np.int32), weights)
    np.testing.assert_allclose(np.asarray(moved)[order], fit()(winners, losers, weights), atol=1e-5)


def test_vmap_over_questions_equals_a_loop_and_no_weight_gives_zero():
    sets = [comparisons(s) for s in range(3)]
    stacked = [np.stack(x) for x in zip(*sets, strict=True)]
    stacked[2][2] = 0.0  # a question on which all judges abstain
    found = jax.jit(jax.vmap(functools.partial(ranking.bradley_terry, num_items=K)))(*stacked)
    for i in (0, 1):
        np.testing.assert_allclose(found[i], fit()(*sets[i]), atol=1e-5)
    np.testing.assert_array_equal(found[2], np.zeros(K))


def test_trueskill_equals_the_package():
    winners, losers, _ = comparisons()
    weights = (np.arange(M) % 4 > 0).astype(np.float32)
    env = trueskill_package.TrueSkill(draw_probability=0.0)
    skills = [env.create_rating() for _ in range(K)]
    for w, loser, weight in zip(winners, losers, weights, strict=True):
        if weight:
            skills[w], skills[loser] = trueskill_package.rate_1vs1(
                skills[w], skills[loser], env=env
            )
    found = jax.jit(functools.partial(ranking.trueskill, num_items=K))(winners, losers, weights)
    np.testing.assert_allclose(found.mean, [r.mu for r in skills], rtol=2e-4)
    np.testing.assert_allclose(found.deviation, [r.sigma for r in skills], rtol=2e-4)


def test_graphs_are_connected_distinct_and_belong_to_the_request():
    for request in ("a", "b", "c"):
        first, second = ranking.comparison_graph(request, 6, 2)
        assert (first < second).all()
        for a, b in zip(first, second, strict=True):
            assert len(set(zip(a.tolist(), b.tolist(), strict=True))) == 2
        assert bool(ranking.is_connected(first.ravel(), second.ravel(), num_items=6))
        again, _ = ranking.comparison_graph(request, 6, 2)
        np.testing.assert_array_equal(first, again)
    other, _ = ranking.comparison_graph("d", 6, 2)
    assert (other != again).any()
    assert ranking.request_seed("a") != ranking.request_seed("b")


@pytest.mark.slow
def test_a_graph_that_is_not_connected_is_drawn_again():
    """With barely enough pairs most draws leave an item out; redraws find one that does not."""
    draw = jax.jit(ranking.draw_comparisons, static_argnums=(1, 2, 3), static_argnames="attempts")
    keys = [jax.random.fold_in(KEY, i) for i in range(20)]
    found = {}
    for attempts in (1, 64):
        pairs = [draw(key, 4, 5, 1, attempts=attempts) for key in keys]
        found[attempts] = sum(
            bool(ranking.is_connected(a.ravel(), b.ravel(), num_items=5)) for a, b in pairs
        )
    assert found[1] < found[64] == 20


def test_connectivity_against_networkx():
    import networkx as nx

    rng = np.random.default_rng(0)
    for _ in range(10):
        first, second = rng.integers(0, 7, (2, 7)).astype(np.int32)
        counts = rng.random(7) < 0.8
        graph = nx.Graph()
        graph.add_nodes_from(range(7))
        graph.add_edges_from(zip(first[counts].tolist(), second[counts].tolist(), strict=True))
        found = ranking.is_connected(first, second, counts, num_items=7)
        assert bool(found) == nx.is_connected(graph)


def test_swarm_takes_the_answer_of_reputable_judges():
    made = ranking.Comparisons(
        judges=[0, 1, 2, 0, 1, 2], first=[0] * 3 + [1] * 3, second=[1] * 3 + [2] * 3,
        verdicts=[1, -1, -1, 1, 1, -1],
    )  # fmt: skip
    for reputation, answer in (
        ([0.9, 0.1, 0.1], "a"),
        ([0.1, 0.9, 0.1], "b"),
        ([0.1, 0.1, 0.9], "c"),
    ):
        found = ranking.swarm(["a", "b", "c"], made, reputation)
        assert found.answer == answer
        assert abs(found.shares.sum() - 1) < 1e-5


def test_equal_answers_add_up_when_merged_and_abstentions_leave_a_vote():
    made = ranking.Comparisons([0, 1, 2, 3], [0, 0, 0, 1], [1, 2, 3, 2], [1, 1, -1, 1])
    replies = ["x", "y", "y", "y"]
    assert ranking.swarm(replies, made, merge="answer").answer == "y"
    nothing = made._replace(verdicts=[0, 0, 0, 0])
    found = ranking.swarm(replies, nothing)
    assert found.answer == "y"  # all are equal: the largest share decides
    np.testing.assert_allclose(found.shares, [0.25, 0.75, 0.75, 0.75], atol=1e-6)


def test_an_unparseable_reply_cannot_win():
    made = ranking.Comparisons([0, 1, 2], [0, 0, 1], [1, 2, 2], [1, 1, 1])
    assert ranking.swarm([None, "b", "c"], made).answer == "b"
    assert int(ranking.majority_vote([-1, -1, 2, 3])) == 2
    with pytest.raises(ValueError, match="replies: expected at least one that could be parsed"):
        ranking.swarm([None, None, None], made)


def test_votes():
    assert int(ranking.majority_vote([0, 1, 1, 0])) == 0  # a tie
    assert int(ranking.majority_vote([0, 1, 1, 0], [0.1, 1.0, 1.0, 0.2])) == 1
    tokens = np.array([[1, 2], [3, 4], [1, 2], [5, -1]], np.int32)
    assert ranking.answer_classes(tokens).tolist() == [0, 1, 0, -1]
    assert int(ranking.best_node(np.array([[True, False], [True, True]]))) == 1


def test_reputation_follows_agreement_and_masks_select():
    made = ranking.Comparisons([0, 0, 1, 2], [0, 1, 0, 1], [1, 2, 1, 2], [1, 1, -1, 0])
    share, number = ranking.agreement(made, [1.0, 0.0, -1.0], 4)
    assert share.tolist() == [1.0, 0.0, 0.5, 0.5]
    assert number.tolist() == [2.0, 1.0, 0.0, 0.0]
    scores = np.array([1.0, 0.0, np.nan], np.float32)
    found = ranking.update_reputation([0.5] * 3, scores, counts=np.array([True, True, False]))
    np.testing.assert_allclose(found, [0.55, 0.45, 0.5], atol=1e-6)
    counts = np.array([[True, False], [False, False]])
    assert ranking.admitted(np.ones((2, 2), bool), 0.6, counts).tolist() == [True, False]


def test_collusion_stands_out():
    rng = np.random.default_rng(0)
    consensus = np.ones(300, np.int32)
    votes = np.where(rng.random((6, 300)) < 0.75, 1, -1)
    votes[5] = np.where(rng.random(300) < 0.95, votes[4], -votes[4])
    scores = np.asarray(ranking.collusion_scores(votes, consensus))
    pairs = scores[np.triu_indices(6, 1)]
    assert scores[4, 5] > 5 > 3.5 > np.sort(pairs)[-2]


GOOD = {
    "replies": ["a", "b", "c"],
    "comparisons": ranking.Comparisons([0, 1, 2], [0, 0, 1], [1, 2, 2], [1, 1, 1]),
    "reputation": [0.5, 0.5, 0.5],
}


def changed(**fields):
    return GOOD["comparisons"]._replace(**fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"replies": ["a"]}, "replies: expected at least two"),
        ({"replies": "abc"}, "replies: expected one of each node"),
        ({"comparisons": changed(second=[0, 2, 2])}, "second: expected another reply than first"),
        ({"comparisons": changed(second=[1, 3, 2])}, "second: expected whole numbers in"),
        ({"comparisons": changed(judges=[0, 1, 3])}, "judges: expected whole numbers in"),
        ({"comparisons": changed(verdicts=[1, 2, 1])}, "verdicts: expected whole numbers in"),
        ({"comparisons": changed(verdicts=[1, 1])}, "verdicts: expected shape"),
        ({"comparisons": ranking.Comparisons([], [], [], [])}, "comparisons: expected at least"),
        (
            {"comparisons": changed(judges=[0, 0, 2], first=[0, 0, 1], second=[1, 1, 2])},
            "judge an ordered pair once",
        ),
        (
            {"replies": ["a", "b", "c", "d"], "reputation": [0.5] * 4},
            "expected pairs that connect all 4 replies",
        ),
        ({"reputation": [0.0, 0.0, 0.0]}, "reputation: expected finite numbers > 0"),
        ({"reputation": [0.5, -0.5, 0.5]}, "reputation: expected finite numbers > 0"),
        ({"reputation": [0.5, np.nan, 0.5]}, "reputation: expected finite numbers > 0"),
        ({"reputation": [0.5, 0.5]}, "reputation: expected shape"),
        ({"admitted": np.array([True, False, True])}, "judges: expected admitted nodes only"),
        ({"merge": "sum"}, "unknown merge 'sum'"),
        ({"ridge": 0.0}, "ridge: expected a finite number > 0"),
        ({"comparisons": [(0, 1)]}, "comparisons: expected a Comparisons"),
    ],
)
def test_swarm_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        ranking.swarm(**(GOOD | change))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ranking.bradley_terry([0], [0], num_items=2), "compared with itself"),
        (lambda: ranking.bradley_terry([2], [0], num_items=2), "winners: expected whole numbers"),
        (lambda: ranking.bradley_terry([0], [1], [0.0], num_items=2), "weights: expected at least"),
        (lambda: ranking.bradley_terry([0], [1], [-1.0], num_items=2), "weights: expected finite"),
        (lambda: ranking.bradley_terry([0], [1], [np.nan], num_items=2), "weights: expected"),
        (lambda: ranking.bradley_terry([0], [1, 1], num_items=2), "losers: expected shape"),
        (lambda: ranking.bradley_terry([0], [1], num_items=1), "num_items: expected"),
        (lambda: ranking.bradley_terry([0], [1], num_items=2, ridge=-1.0), "ridge: expected"),
        (lambda: ranking.bradley_terry([0], [1], num_items=2, num_steps=0), "num_steps"),
        (lambda: ranking.trueskill([0], [1], num_items=2, noise=0.0), "noise: expected"),
        (lambda: ranking.trueskill([0], [1], num_items=2, drift=-1.0), "drift: expected"),
        (lambda: ranking.comparison_graph("q", 3, 1, num_items=9), "enough pairs to connect"),
        (lambda: ranking.comparison_graph(3, 3, 1), "request: expected a str or bytes"),
        (lambda: ranking.comparison_graph("q", 1, 1), "num_items: expected"),
        (lambda: ranking.draw_comparisons(KEY, 3, 3, 4), "per_node: expected"),
        (lambda: ranking.draw_comparisons(0, 3, 3, 1), "key: expected"),
        (lambda: ranking.verdicts_of([1], 2, 2), "second_token: expected another"),
        (lambda: ranking.verdicts_of([0.5], 1, 2), "tokens: expected"),
        (lambda: ranking.majority_vote([-1, -1]), "classes: expected at least one"),
        (lambda: ranking.majority_vote([0]), "number of replies"),
        (lambda: ranking.best_node(np.ones((2, 2))), "correct: expected bool"),
        (lambda: ranking.answer_classes([["a"], "b"]), "replies: expected texts"),
        (lambda: ranking.admitted(np.ones((2, 0), bool)), "number of tests"),
        (lambda: ranking.admitted(np.ones((2, 1), bool), 1.5), "threshold: expected"),
        (lambda: ranking.update_reputation([0.0], [1.0]), "reputation: expected"),
        (lambda: ranking.update_reputation([0.5], [1.5]), "ranking_accuracy: expected"),
        (lambda: ranking.update_reputation([0.5], [1.0], [np.nan]), "generation_quality"),
        (lambda: ranking.update_reputation([0.5], [1.0], rate=2.0), "rate: expected"),
        (lambda: ranking.collusion_scores([[2]], [1]), "verdicts: expected"),
        (lambda: ranking.collusion_scores([[1]], [1, 1]), "consensus: expected"),
        (lambda: ranking.pick([0.0, 1.0], [0]), "classes: expected"),
        (lambda: ranking.is_connected([0], [5], num_items=2), "second: expected"),
        (lambda: ranking.log_likelihood([0.0, 0.0], [0], [0]), "compared with itself"),
        (lambda: ranking.agreement([1], [0.0], 1), "comparisons: expected"),
        (lambda: ranking.wins_and_losses([1]), "comparisons: expected"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_strengths_follow_the_likelihood():
    winners, losers, weights = comparisons()
    best = fit()(winners, losers, weights)
    value = ranking.log_likelihood(best, winners, losers, weights, ridge=0.1)
    for i in range(K):
        moved = best + 0.05 * (jnp.arange(K) == i)
        assert ranking.log_likelihood(moved, winners, losers, weights, ridge=0.1) < value
