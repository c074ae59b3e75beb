"""Fortytwo: judging in both orders, adversaries, reputations over requests, the synthetic tier."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm.data import tokenizers
from jaxswarm.models import transformer
from jaxswarm.systems import fortytwo
from jaxswarm.trust import ranking

KEY = jax.random.key(0)
TOKENS = tokenizers.character("abcd=AB/?!")
FORM = fortytwo.judge_format(TOKENS, rationale_length=3)
MODEL = transformer.from_config(
    transformer.Config(TOKENS.vocab_size, width=8, num_layers=1, num_heads=1)
)
KIND = {name: i for i, name in enumerate(fortytwo.KINDS)}


def text(words, length):
    found = tokenizers.encode_batch(TOKENS, words, length=length)
    return found.tokens, found.mask


QUESTIONS, FIRST, SECOND = text(["ab=", "abc="], 5), text(["ba", "c"], 3), text(["d", "dd"], 3)
ARGUMENTS = (*QUESTIONS, *FIRST, *SECOND)


def test_the_prompt_is_the_text_of_question_and_replies():
    for rationale, mark in ((True, "!"), (False, "?")):
        prompts, mask = fortytwo.judge_prompts(FORM, *ARGUMENTS, rationale=rationale)
        rows = zip(np.asarray(prompts), np.asarray(mask), strict=True)
        shown = [TOKENS.decode(row[keep]) for row, keep in rows]
        assert shown == [f"ab=ba/d{mark}", f"abc=c/dd{mark}"]


def fixed_model(answers):
    """A model that says the token of a table, by the number of tokens generated so far."""

    def init(key):
        return {}

    def logits(tokens, place):
        said = jnp.asarray(answers)[jnp.clip(place, 0, len(answers) - 1)]
        return 50.0 * jax.nn.one_hot(said, TOKENS.vocab_size)

    def apply(params, tokens, mask=None):
        raise NotImplementedError

    def start(batch, slots):
        return jnp.zeros((), jnp.int32)

    def extend(params, cache, tokens, mask=None):
        place = jnp.full(tokens.shape, cache)
        return transformer.Outputs(logits(tokens, place), None), cache + 1

    return transformer.LanguageModel(init, apply, start, extend, TOKENS.vocab_size)


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("A", ranking.FIRST),
        ("B", ranking.SECOND),
        ("abA", ranking.FIRST),
        ("aab", ranking.ABSTAIN),  # neither token
        ("", ranking.ABSTAIN),
        ("ababaB", ranking.ABSTAIN),  # no end within the length
    ],
)
def test_the_verdict_is_the_last_token_and_orders_cancel(said, verdict):
    model = fixed_model([*TOKENS.encode(said), tokenizers.END])
    found = fortytwo.judge(KEY, model, {}, FORM, *ARGUMENTS)
    # A model that always prefers what is shown first has one win for each reply.
    np.testing.assert_array_equal(found.verdicts, [[verdict, -verdict]] * 2)


@pytest.mark.slow
def test_logits_that_are_not_finite_are_refused_and_abstain_under_jit():
    params = jax.tree.map(lambda x: x * jnp.nan, MODEL.init(KEY))
    with pytest.raises(ValueError, match="params: expected finite logits"):
        fortytwo.judge(KEY, MODEL, params, FORM, *ARGUMENTS)
    found = jax.jit(lambda p: fortytwo.judge(KEY, MODEL, p, FORM, *ARGUMENTS))(params)
    assert not np.asarray(found.verdicts).any()


PAIRS = np.array([[[0, 1], [1, 2]]] * 3).transpose(2, 0, 1).astype(np.int32)  # [2, N=3, p=2]
HONEST = np.ones((3, 2, 2), np.int32)


@functools.cache
def corrupt():
    return jax.jit(fortytwo.corrupt_verdicts)


def sent(kinds, **options):
    kinds = np.array([KIND[kind] for kind in kinds], np.int32)
    return np.asarray(corrupt()(KEY, kinds, PAIRS[0], PAIRS[1], HONEST, **options))


def test_adversaries():
    kinds = ("honest", "inverter", "self_promoter")
    found = sent(kinds)
    np.testing.assert_array_equal(found[0], HONEST[0])
    np.testing.assert_array_equal(found[1], -HONEST[1])
    np.testing.assert_array_equal(found[2, :, 0], [1, -1])  # prefers reply 2 of the pair (1, 2)
    found = sent(("honest", "colluder", "colluder"))
    np.testing.assert_array_equal(found[1:, :, 0], [[-1, 1]] * 2)  # (0, 1) lost; (1, 2) is honest
    for awake, sign in ((True, -1), (False, 1)):
        found = sent(("sleeper",) * 3, awake=np.full(3, awake))
        np.testing.assert_array_equal(found, sign * HONEST)
    np.testing.assert_array_equal(sent(("sybil",) * 3, paid=np.ones(3, np.float32)), HONEST)
    guesses = sent(("random",) * 3)
    np.testing.assert_array_equal(guesses, sent(("sybil",) * 3, paid=np.zeros(3, np.float32)))
    assert set(np.unique(guesses)) == {-1, 1}


def world(seed, num_requests=80, n=6, accuracy=0.8, wrong=4):
    """Replies of which the first ``wrong`` share an error, and judges of one accuracy."""
    rng = np.random.default_rng(seed)
    right = np.arange(n) >= wrong
    classes = np.where(right, wrong, 0)
    first, second = np.triu_indices(n, 1)
    picked = rng.integers(0, len(first), (num_requests, n, 3))
    first, second = first[picked].astype(np.int32), second[picked].astype(np.int32)
    gap = right[first].astype(int) - right[second]
    good = np.where(rng.random((*gap.shape, 2)) < accuracy, 1, -1)
    coin = rng.choice([-1, 1], good.shape)
    verdicts = np.where(gap[..., None] == 0, coin, gap[..., None] * good).astype(np.int32)
    rounds = fortytwo.Round(
        np.broadcast_to(classes, (num_requests, n)).astype(np.int32), first, second, verdicts
    )
    return rounds, right


@functools.cache
def consensus():
    return jax.jit(fortytwo.consensus_rounds)


def test_consensus_beats_a_wrong_majority_and_reputation_finds_an_inverter():
    rounds, right = world(0, accuracy=0.9)
    assert not right[int(ranking.majority_vote(rounds.classes[0]))]
    verdicts = rounds.verdicts.copy()
    verdicts[:, 5] = -verdicts[:, 5]
    rounds = rounds._replace(verdicts=verdicts)
    info = consensus()(rounds, np.full(6, 0.5, np.float32))
    assert right[np.asarray(info.winners)].mean() > 0.8
    last = np.asarray(info.reputation)[40:].mean(0)
    # Nodes 4 and 5 give right answers; 5 inverts its verdicts.
    assert last[5] < last[4] - 0.1
    steady = consensus()(rounds, np.full(6, 0.5, np.float32), rate=1.0)
    np.testing.assert_array_equal(steady.reputation, np.full((80, 6), 0.5, np.float32))


def test_nodes_that_are_not_admitted_have_no_influence():
    rounds, _ = world(1, 10)
    admitted = np.arange(6) < 5
    other = rounds.verdicts.copy()
    other[:, 5] = -other[:, 5]
    start = np.full(6, 0.5, np.float32)
    a = consensus()(rounds, start, admitted=admitted)
    b = consensus()(rounds._replace(verdicts=other), start, admitted=admitted)
    np.testing.assert_array_equal(a.strengths, b.strengths)


def test_it_equals_the_swarm_of_one_request():
    rounds, _ = world(2, 3)
    weights = np.linspace(0.3, 0.9, 6).astype(np.float32)
    info = consensus()(rounds, weights, rate=1.0)
    one = jax.tree.map(lambda x: x[1], rounds)
    rows = []
    for n in range(6):
        for k in range(3):
            pair = (one.first[n, k], one.second[n, k])
            rows += [(n, *pair, one.verdicts[n, k, 0]), (n, *pair[::-1], -one.verdicts[n, k, 1])]
    unique = {row[:3]: row for row in rows}
    if len(unique) == len(rows):
        made = ranking.Comparisons(*np.array(rows).T)
        found = ranking.swarm([str(c) for c in one.classes], made, weights)
        np.testing.assert_allclose(found.strengths, info.strengths[1], atol=1e-5)


def test_synthetic_nodes_follow_their_kind():
    nodes = fortytwo.synthetic_nodes(KEY, 30, judge_accuracy=0.85, byzantine=0.2, sybils=5)
    run = jax.jit(functools.partial(fortytwo.simulate_nodes, num_requests=40, num_replies=8))
    info = run(KEY, nodes)
    reputation = np.asarray(info.reputation)
    kinds = np.asarray(nodes.kinds)
    honest, inverts, sybil = (reputation[kinds == KIND[k]] for k in ("honest", "inverter", "sybil"))
    assert honest.mean() > 0.6 > sybil.mean() > inverts.mean()
    assert not np.any(np.asarray(info.right) & ~np.asarray(info.possible))
    assert info.right.mean() > info.majority.mean()


@pytest.mark.slow
def test_admission_tests_keep_sybils_out():
    nodes = fortytwo.synthetic_nodes(KEY, 30, judge_accuracy=0.85, sybils=30, compute=1.0)
    weights = [
        float(
            jax.jit(
                functools.partial(
                    fortytwo.simulate_nodes, num_requests=3, num_replies=8, num_tests=tests
                )
            )(KEY, nodes).sybil_weight[-1]
        )
        for tests in (0, 200)
    ]
    assert weights[0] > 0.3 > 0.1 > weights[1]


TEXTS = np.array([[0, 1, 0, 3], [0, 0, 0, 0], [0, 1, 2, 1]])


def test_comparisons_from_the_table_are_the_judgements_of_their_texts():
    pairs = fortytwo.distinct_pairs(TEXTS)
    assert list(zip(*(x.tolist() for x in pairs), strict=True)) == [
        (0, 0, 1), (0, 0, 3), (0, 1, 3), (2, 0, 1), (2, 0, 2), (2, 1, 2),
    ]  # fmt: skip
    rng = np.random.default_rng(0)
    given = rng.integers(-1, 2, (4, len(pairs.request), 2))
    table = fortytwo.judgement_table(pairs, given, TEXTS.shape)
    first, second = np.triu_indices(4, 1)
    drawn = [np.broadcast_to(x, (3, 4, 6)) for x in (first, second)]
    found = fortytwo.look_up(table, TEXTS, *drawn)
    known = {pair: given[:, m] for m, pair in enumerate(zip(*pairs, strict=True))}
    for q in range(3):
        for m, (i, k) in enumerate(zip(first, second, strict=True)):
            a, b = TEXTS[q, i], TEXTS[q, k]
            wanted = np.zeros((4, 2), int)
            if a < b:
                wanted = known[q, a, b]
            elif b < a:  # the other way round
                wanted = -known[q, b, a][:, ::-1]
            np.testing.assert_array_equal(found[q, :, m], wanted)
    turned = fortytwo.look_up(table, TEXTS, drawn[1], drawn[0])
    np.testing.assert_array_equal(turned, -found[..., ::-1])


def test_win_counts_decide_as_single_comparisons_do():
    rounds, _ = world(4, 1)
    one = jax.tree.map(lambda x: x[0], rounds)
    info = consensus()(rounds, np.full(6, 0.5, np.float32))
    judges = np.broadcast_to(np.arange(6)[:, None, None], one.verdicts.shape)
    a, b = (np.broadcast_to(x[..., None], one.verdicts.shape) for x in (one.first, one.second))
    made = ranking.Comparisons(*(x.ravel() for x in (judges, a, b, one.verdicts)))
    winners, losers, counts = ranking.wins_and_losses(made)
    strengths = ranking.bradley_terry(winners, losers, 0.5 * counts, num_items=6)
    np.testing.assert_allclose(info.strengths[0], strengths, atol=1e-5)
    agreed, _ = ranking.agreement(made, info.strengths[0], 6)
    np.testing.assert_allclose(info.agreement[0], agreed, atol=1e-6)


ROUNDS, _ = world(3, 2)
START = np.full(6, 0.5, np.float32)
PAIR = fortytwo.distinct_pairs([[0, 1]])
TABLE = fortytwo.judgement_table(PAIR, [[[1, -1]]], (1, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fortytwo.judge_format(TOKENS, rationale_length=0), "rationale_length: expected"),
        (lambda: fortytwo.judge_format(TOKENS, rationale_length=2, marks="AA"), "marks: expected"),
        (lambda: fortytwo.judge_format(TOKENS, rationale_length=2, marks="/?!AX"), "expected"),
        (lambda: fortytwo.judge_format("ab", rationale_length=2), "tokenizer: expected"),
        (lambda: fortytwo.judge_prompts(3, *ARGUMENTS), "form: expected"),
        (lambda: fortytwo.judge_prompts(FORM, *QUESTIONS, *FIRST, *text(["a"], 2)), "second"),
        (lambda: fortytwo.judge_prompts(FORM, *QUESTIONS, FIRST[0], FIRST[0], *SECOND), "first_m"),
        (lambda: fortytwo.judge_prompts(FORM, *ARGUMENTS, rationale=2), "rationale: expected"),
        (lambda: fortytwo.judge(3, MODEL, {}, FORM, *ARGUMENTS), "key: expected"),
        (lambda: fortytwo.judge(KEY, "m", {}, FORM, *ARGUMENTS), "model: expected"),
        (
            lambda: fortytwo.corrupt_verdicts(KEY, [9] * 3, *PAIRS, HONEST),
            "kinds: expected whole numbers",
        ),
        (
            lambda: fortytwo.corrupt_verdicts(KEY, [0] * 3, *PAIRS, HONEST[:2]),
            "verdicts: expected shape",
        ),
        (
            lambda: fortytwo.corrupt_verdicts(KEY, [0] * 3, *PAIRS, HONEST, paid=[2.0] * 3),
            "paid: expected",
        ),
        (
            lambda: fortytwo.corrupt_verdicts(KEY, [0] * 3, *PAIRS, HONEST, awake=[True]),
            "awake: expected",
        ),
        (lambda: fortytwo.consensus_rounds("x", START), "rounds: expected a Round"),
        (lambda: fortytwo.consensus_rounds(ROUNDS, START[:2]), "reputation: expected shape"),
        (lambda: fortytwo.consensus_rounds(ROUNDS, 0 * START), "reputation: expected"),
        (lambda: fortytwo.consensus_rounds(ROUNDS, START, rate=2.0), "rate: expected"),
        (lambda: fortytwo.consensus_rounds(ROUNDS, START, mix=-1.0), "mix: expected"),
        (lambda: fortytwo.consensus_rounds(ROUNDS, START, ridge=0.0), "ridge: expected"),
        (lambda: fortytwo.consensus_rounds(ROUNDS, START, admitted=[True]), "admitted: expected"),
        (
            lambda: fortytwo.consensus_rounds(ROUNDS._replace(first=ROUNDS.first + 9), START),
            "first: expected whole numbers",
        ),
        (lambda: fortytwo.distinct_pairs([[0, 2]]), "texts: expected the first node"),
        (lambda: fortytwo.distinct_pairs([[1, 0]]), "texts: expected the first node"),
        (lambda: fortytwo.distinct_pairs([[0]]), "number of replies: expected"),
        (lambda: fortytwo.judgement_table("x", TABLE, (1, 2)), "pairs: expected"),
        (lambda: fortytwo.judgement_table(PAIR, [[[2, 0]]], (1, 2)), "verdicts: expected"),
        (lambda: fortytwo.judgement_table(PAIR, [[[1]]], (1, 2)), "verdicts: expected"),
        (lambda: fortytwo.look_up(TABLE, [[0, 1]], [[[0]]], [[[2]]]), "second: expected"),
        (lambda: fortytwo.look_up(TABLE, [[0, 1]], [[0]], [[1]]), "first: expected"),
        (lambda: fortytwo.look_up(TABLE[0], [[0, 1]], [[[0]]], [[[1]]]), "table: expected"),
        (lambda: fortytwo.synthetic_nodes(KEY, 1), "num_nodes: expected"),
        (lambda: fortytwo.synthetic_nodes(KEY, 4, judge_accuracy=0.5), "judge_accuracy: expected"),
        (lambda: fortytwo.synthetic_nodes(KEY, 4, byzantine=1.0), "byzantine: expected"),
        (lambda: fortytwo.synthetic_nodes(KEY, 4, behavior="lazy"), "unknown behavior"),
        (lambda: fortytwo.synthetic_nodes(KEY, 4, sybils=-1), "sybils: expected"),
        (lambda: fortytwo.synthetic_nodes(KEY, 4, compute=-1.0), "compute: expected"),
        (lambda: fortytwo.simulate_nodes(KEY, "x", num_requests=2), "nodes: expected"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_requests": 0}, "num_requests: expected"),
        ({"num_replies": 9}, "num_replies: expected"),
        ({"per_node": 0}, "per_node: expected"),
        ({"shared_errors": 2.0}, "shared_errors: expected"),
        ({"difficulty": np.nan}, "difficulty: expected"),
        ({"initial": 0.0}, "initial: expected"),
        ({"rate": -0.1}, "rate: expected"),
        ({"num_tests": -1}, "num_tests: expected"),
        ({"threshold": 2.0}, "threshold: expected"),
    ],
)
def test_the_simulator_refuses(change, message):
    nodes = fortytwo.synthetic_nodes(KEY, 4)
    with pytest.raises(ValueError, match=message):
        fortytwo.simulate_nodes(KEY, nodes, **({"num_requests": 2, "num_replies": 3} | change))
