"""KNEXA-FL's language agents: re-encoded texts, distillation, rounds of all policies, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import refusals

from jaxswarm import language
from jaxswarm.coordination import bandits
from jaxswarm.data import tokenizers, verifiable
from jaxswarm.models import transformer
from jaxswarm.systems import knexa_fl
from tests.later import Later

NAN, KEY = refusals.NAN, jax.random.key(0)
TEXT = verifiable.tokenizer()
OTHER = tokenizers.Tokenizer((*TEXT.pieces[:2], *reversed(TEXT.pieces[2:])))
MODELS = {
    name: transformer.from_config(
        transformer.Config(TEXT.vocab_size, width, num_layers=1, num_heads=1)
    )
    for name, width in (("a", 8), ("b", 4))
}
NAMES = ["a", "b", "b", "a"]
SWARM = transformer.families(MODELS, NAMES)
VOCABULARIES = {"a": TEXT, "b": OTHER}
TEAM = Later(lambda: knexa_fl.team(SWARM, jax.jit(SWARM.init)(KEY), VOCABULARIES, TEXT))
N, K, T = 4, 2, 3
ITEMS = verifiable.draw_items(verifiable.products(), 40, seed=0, distinct=True)
TOKENS = verifiable.to_arrays(ITEMS, TEXT, solution_length=T)


def part(start, stop):
    return jax.tree.map(lambda x: x[start:stop], TOKENS)


DATA = knexa_fl.KnexaData(
    private=jax.tree.map(lambda x: x.reshape(N, 4, *x.shape[1:]), part(0, 16)),
    histogram=np.eye(12, dtype=np.float32)[[0, 3, 3, 7]],
    prompts=part(16, 24).prompts,
    prompt_mask=part(16, 24).prompt_mask,
    validation=part(24, 30),
    category=np.array([0, 0, 3, 3, 7, 7]),
)
OPTIONS = {"num_pairs": K, "max_new_tokens": T, "steps": 2, "batch_size": 3, "transfer_size": 5}


@pytest.fixture(scope="module")
def state():
    """Adapters that change something: a first round of steps at a large step size."""
    start = knexa_fl.knexa(TEAM.value, optax.adam(0.1), **OPTIONS).init(TEAM.value.init(KEY), DATA)
    noisy = jax.tree.map(
        lambda x: x + 0.3 * jax.random.normal(jax.random.key(1), x.shape), start.adapters
    )
    return start._replace(adapters=noisy)


@jax.jit
def step(policy, key, state):
    """One round with any policy: compiled once."""
    learner = knexa_fl.knexa(
        TEAM.value, optax.adam(0.01), policy=policy, alpha=(0.5, 0.5), **OPTIONS
    )
    return learner.step(key, state, jax.tree.map(jnp.asarray, DATA))


@pytest.fixture(scope="module")
def rounds(state):
    return {
        name: step(jnp.int32(index), jax.random.key(7), state)
        for index, name in enumerate(knexa_fl.POLICIES)
    }


@jax.jit
def texts_of(adapters):
    return knexa_fl.team_texts(
        KEY, TEAM.value, adapters, DATA.prompts, DATA.prompt_mask, max_new_tokens=T, temperature=0.0
    )


@pytest.mark.slow
def test_texts_are_those_of_each_model_re_encoded_on_the_host(state):
    found = texts_of(state.adapters)
    for agent, name in enumerate(NAMES):
        place = list(SWARM.members[name]).index(agent)
        both = TEAM.value.params[name], state.adapters[name]
        base, adapter = jax.tree.map(lambda x: x[place], both)  # noqa: B023
        prompts = tokenizers.reencode(
            DATA.prompts, TEXT, VOCABULARIES[name], length=DATA.prompts.shape[1]
        )
        own = transformer.generate(
            KEY, MODELS[name], TEAM.value.adapters.merge(base, adapter), prompts.tokens,
            prompts.mask, max_new_tokens=T, temperature=0.0,
        )  # fmt: skip
        assert tokenizers.decode_batch(VOCABULARIES[name], own.tokens) == tokenizers.decode_batch(
            TEXT, found.tokens[agent]
        )


@pytest.mark.slow
def test_losses_do_not_depend_on_the_order_of_the_vocabulary(state):
    losses = knexa_fl.solution_losses(TEAM.value, state.adapters, DATA.validation)
    base, adapter = jax.tree.map(
        lambda x: x[1], (TEAM.value.params["b"], state.adapters["b"])
    )  # agent 2
    items = verifiable.to_arrays(ITEMS[24:30], OTHER)
    want = language.sft_loss(MODELS["b"], TEAM.value.adapters.merge(base, adapter), items)
    counts = np.asarray(DATA.validation.solution_mask).sum(1)
    np.testing.assert_allclose((losses[2] * counts).sum() / counts.sum(), want, rtol=1e-5)


@pytest.mark.slow
def test_mean_probabilities_of_equal_agents_are_those_of_one(state):
    same = knexa_fl.team(
        transformer.families({"a": MODELS["a"]}, ["a"] * 2),
        {"a": jax.tree.map(lambda x: x[:1].repeat(2, 0), TEAM.value.params["a"])},
        {"a": TEXT},
        TEXT,
    )
    adapters = {"a": jax.tree.map(lambda x: x[:1].repeat(2, 0), state.adapters["a"])}
    tokens, mask = TOKENS.solutions[:4], TOKENS.solution_mask[:4]
    prompts, prompt_mask = TOKENS.prompts[:4], TOKENS.prompt_mask[:4]
    found = knexa_fl.mean_probabilities(same, adapters, prompts, prompt_mask, tokens, mask)
    merged = TEAM.value.adapters.merge(*jax.tree.map(lambda x: x[0], same.pairs(adapters)["a"]))
    want = transformer.completion_outputs(MODELS["a"], merged, prompts, prompt_mask, tokens, mask)
    np.testing.assert_allclose(found, jax.nn.softmax(want.logits), atol=1e-5)


@pytest.mark.slow
def test_distillation_mixes_own_loss_and_cross_entropy():
    params = MODELS["a"].init(KEY)
    own, taught = part(0, 4), part(4, 8)
    text = knexa_fl.Transfer(
        taught.prompts, taught.prompt_mask, taught.solutions, taught.solution_mask
    )

    def loss(transfer, alpha):
        return knexa_fl.distillation_loss(MODELS["a"], params, own, transfer, alpha)

    first, second = (language.sft_loss(MODELS["a"], params, p) for p in (own, taught))
    np.testing.assert_allclose(loss(text, 0.0), first, rtol=1e-5)
    np.testing.assert_allclose(loss(text, 1.0), second, rtol=1e-5)
    np.testing.assert_allclose(loss(text, 0.25), 0.75 * first + 0.25 * second, rtol=1e-5)
    hot = jax.nn.one_hot(taught.solutions, TEXT.vocab_size)
    hot = jnp.where(taught.solution_mask[..., None], hot, NAN)  # padding has no influence
    np.testing.assert_allclose(loss(text._replace(probabilities=hot), 1.0), second, rtol=1e-5)
    nothing = text._replace(mask=jnp.zeros_like(text.mask))
    np.testing.assert_allclose(loss(nothing, 0.5), 0.5 * first, rtol=1e-5)


@pytest.mark.slow
def test_rounds_of_all_policies_are_finite_and_have_as_many_students(rounds):
    for name, (after, info) in rounds.items():
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after)), name
        assert np.asarray(info.pairs.valid).all()
        used = np.concatenate([info.pairs.teachers, info.pairs.students])
        assert sorted(used.tolist()) == [0, 1, 2, 3]
        assert (float(info.sent) > 0) == (name != "local")


@pytest.mark.slow
def test_own_data_only_trains_alike_whatever_the_pairs(rounds, state):
    after, _ = rounds["local"]
    other, _ = step(jnp.int32(0), jax.random.key(7), state._replace(scores=1.0 - state.scores))
    for a, b in zip(jax.tree.leaves(after.adapters), jax.tree.leaves(other.adapters), strict=True):
        np.testing.assert_array_equal(a, b)
    # An agent that is no student trains the same way under every policy.
    moved, info = rounds["random"]
    for agent in np.asarray(info.pairs.teachers):
        name = NAMES[agent]
        place = list(SWARM.members[name]).index(agent)
        pair = (moved.adapters[name], after.adapters[name])
        for a, b in zip(*(jax.tree.leaves(tree) for tree in pair), strict=True):
            np.testing.assert_allclose(a[place], b[place], atol=1e-6)


@pytest.mark.slow
def test_the_heuristic_takes_the_most_different_data(rounds):
    pairs = rounds["heuristic"][1].pairs
    taken = {
        frozenset(p) for p in zip(pairs.teachers.tolist(), pairs.students.tolist(), strict=True)
    }
    assert frozenset((1, 2)) not in taken  # the only agents with equal data


@pytest.mark.slow
def test_the_oracles_best_pair_is_at_least_as_good_as_any_others(rounds):
    best = float(rounds["oracle"][1].rewards.max())
    for name in ("random", "heuristic", "concat", "pairwise"):
        assert float(rounds[name][1].rewards.max()) <= best + 1e-5


@pytest.mark.slow
def test_only_matchmakers_learn_and_rewards_are_the_drop_of_the_loss(rounds, state):
    for name, (after, info) in rounds.items():
        learns = name in ("concat", "pairwise")
        assert float(after.matchmaker.sums.count) == (K if learns else 0)
        drop = state.loss[info.pairs.students] - after.loss[info.pairs.students]
        np.testing.assert_allclose(info.rewards, drop, atol=1e-5)
    gram = np.asarray(rounds["concat"][0].matchmaker.sums.gram)
    assert (gram[64:] == 0).all()
    assert (np.diag(rounds["pairwise"][0].matchmaker.sums.gram)[64] == K).all()


@pytest.mark.slow
def test_distillation_brings_a_student_closer_to_its_teachers_texts(state):
    learner = knexa_fl.knexa(
        TEAM.value,
        optax.adam(0.02),
        alpha=(1.0, 1.0),
        **(OPTIONS | {"steps": 30, "transfer_size": 8, "temperature": 0.0}),
    )
    run = jax.jit(learner.step)
    texts = texts_of(state.adapters)
    after, info = run(jax.random.key(3), state, DATA)
    teacher, student = int(info.pairs.teachers[0]), int(info.pairs.students[0])
    taught = part(16, 24)._replace(
        solutions=texts.tokens[teacher], solution_mask=texts.mask[teacher]
    )
    before, then = (
        float(knexa_fl.solution_losses(TEAM.value, adapters, taught)[student].mean())
        for adapters in (state.adapters, after.adapters)
    )
    assert then < before


PAIRS = Later(knexa_fl.greedy_matching, np.ones((N, N)), K)
PROFILES = np.asarray(knexa_fl.make_profiles([0, 1, 1, 0], np.zeros((N, 12)), DATA.histogram))
TRANSFER = knexa_fl.Transfer(DATA.prompts, DATA.prompt_mask, DATA.prompts, DATA.prompt_mask)
HISTORY = Later(knexa_fl.empty_history, N)
SQUARE = [np.ones((3, 4)), np.ones(4), "x", None, 1j]
WRONG_HISTOGRAMS = [DATA.histogram * 0.5, DATA.histogram[:, :11], -DATA.histogram, "x", None]
EMPTY = DATA.prompts[:0]
OVERLAP = DATA._replace(prompts=DATA.validation.prompts, prompt_mask=DATA.validation.prompt_mask)
TEXTS = {"prompts": DATA.prompts, "mask": DATA.prompt_mask}
START = Later(TEAM.init, KEY)
TABLE = {
    "make_profiles": (
        knexa_fl.make_profiles,
        {"family": [0, 1, 1, 0], "scores": np.zeros((N, 12)), "histogram": DATA.histogram},
        {
            "family": [[0, 1, 1, 8], [-1, 0, 0, 0], [0.5] * 4, "x"],
            "scores": [np.zeros((N, 11)), np.full((N, 12), NAN), "x"],
            "histogram": WRONG_HISTOGRAMS,
        },
    ),
    "split_profiles": (
        knexa_fl.split_profiles,
        {"profiles": PROFILES},
        {"profiles": [PROFILES[:, :31], "x", None, 3.0]},
    ),
    "check_profiles": (
        knexa_fl.check_profiles,
        {"profiles": PROFILES, "num_agents": N},
        {"profiles": [PROFILES[:, :31], PROFILES[:3], PROFILES * 2, PROFILES * NAN, "x"]},
    ),
    "js_divergence": (
        knexa_fl.js_divergence,
        {"p": [0.5, 0.5], "q": [1.0, 0.0]},
        {"p": [[0.5, 0.4], [NAN, 1.0], "x"], "q": [[0.5, 0.4], [-1.0, 2.0], [1.0], "x"]},
    ),
    "empty_history": (knexa_fl.empty_history, {"num_agents": 3}, {"num_agents": "size"}),
    "pair_features": (
        knexa_fl.pair_features,
        {"kind": "pairwise", "profiles": PROFILES, "history": HISTORY},
        {
            "kind": "name",
            "profiles": [PROFILES[:, :31], "x", None],
            "history": [Later(knexa_fl.empty_history, 3), 3, "x"],
        },
    ),
    "greedy_matching": (
        knexa_fl.greedy_matching,
        {"scores": np.ones((N, N)), "num_pairs": K},
        {
            "scores": SQUARE,
            "num_pairs": [K + 1, *refusals.BAD["size"]],
            "active": [np.ones(3, bool), np.ones(N), "x"],
        },
    ),
    "random_matching": (
        knexa_fl.random_matching,
        {"key": KEY, "num_agents": N, "num_pairs": K},
        {"key": "key", "num_agents": "size", "num_pairs": [K + 1, *refusals.BAD["size"]]},
    ),
    "optimal_matching": (
        knexa_fl.optimal_matching,
        {"values": np.ones((N, N)), "num_pairs": K},
        {
            "values": [np.full((N, N), NAN), *SQUARE],
            "num_pairs": [K + 1, *refusals.BAD["size"]],
        },
    ),
    "matching_value": (
        knexa_fl.matching_value,
        {"values": np.ones((N, N)), "pairs": PAIRS},
        {"values": SQUARE, "pairs": "thing"},
    ),
    "transfer_reward": (
        knexa_fl.transfer_reward,
        {"before": 1.0, "after": 0.5},
        {
            "before": ["x", None],
            "after": ["x", None],
            "kilobytes": ["x", None],
            "gamma": "nonnegative",
            "delta": "nonnegative",
        },
    ),
    "check_sums": (
        knexa_fl.check_sums,
        {"sums": Later(bandits.empty_sums, 3), "num_features": 3, "regularization": 1.0},
        {"sums": "thing", "num_features": "size", "regularization": "positive"},
    ),
    "matchmaker": (
        knexa_fl.matchmaker,
        {"num_agents": N, "num_features": 3, "num_pairs": K},
        {
            "num_agents": "size",
            "num_features": "size",
            "num_pairs": [K + 1, *refusals.BAD["size"]],
            "bandit": [3, "x", Later(bandits.linucb, 4)],
            "beta0": "nonnegative",
            "regularization": "positive",
            "normalize": "flag",
        },
    ),
    "team": (
        knexa_fl.team,
        {"swarm": SWARM, "params": TEAM.params, "vocabularies": VOCABULARIES, "text": TEXT},
        {
            "swarm": "thing",
            "params": [3, None, Later(lambda: {"a": TEAM.value.params["a"]})],
            "vocabularies": [3, None, {"a": TEXT}, {"a": TEXT, "b": tokenizers.character("ab")}],
            "text": "thing",
            "adapters": [3, "x"],
        },
    ),
    "team_texts": (
        knexa_fl.team_texts,
        {"key": KEY, "team": TEAM, "state": START, "max_new_tokens": T, **TEXTS},
        {"key": "key", "team": "thing", "max_new_tokens": "size"},
    ),
    "solution_losses": (
        knexa_fl.solution_losses,
        {"team": TEAM, "state": START, "problems": DATA.validation},
        {"team": "thing", "problems": "thing"},
    ),
    "mean_probabilities": (
        knexa_fl.mean_probabilities,
        {
            "team": TEAM,
            "state": START,
            "tokens": DATA.prompts,
            "token_mask": DATA.prompt_mask,
            **TEXTS,
        },
        {"team": "thing"},
    ),
    "distillation_loss": (
        knexa_fl.distillation_loss,
        {
            "model": MODELS["a"],
            "params": Later(lambda: jax.tree.map(lambda x: x[0], TEAM.value.params["a"])),
            "own": part(0, 4),
            "transfer": TRANSFER,
            "alpha": 0.5,
        },
        {
            "model": "thing",
            "transfer": [TRANSFER._replace(prompts=EMPTY, prompt_mask=EMPTY), 3, None],
            "alpha": "probability",
        },
    ),
    "vote": (
        knexa_fl.vote,
        {
            "tokens": np.ones((N, 2, 3), int),
            "mask": np.ones((N, 2, 3), bool),
            "weights": np.ones(N),
        },
        {
            "tokens": [np.ones((2, 3), int), np.ones((N, 2, 3)), "x"],
            "mask": [np.ones((N, 2), bool), "x"],
            "weights": [np.ones(3), -np.ones(N), np.full(N, NAN), "x"],
        },
    ),
    "check_disjoint": (
        knexa_fl.check_disjoint,
        {"transfer": DATA.prompts, "mask": DATA.prompt_mask, "problems": DATA.validation},
        {
            "transfer": [EMPTY, "x", None],
            "mask": [np.ones(3, bool), "x"],
            "problems": "thing",
        },
    ),
    "check_data": (
        knexa_fl.check_data,
        {"data": DATA, "team": TEAM},
        {"data": "thing", "team": "thing"},
    ),
    "knexa": (
        knexa_fl.knexa,
        {"team": TEAM, "optimizer": optax.adam(0.1), "num_pairs": K, "max_new_tokens": T},
        {
            "team": "thing",
            "optimizer": "thing",
            "num_pairs": [K + 1, *refusals.BAD["size"]],
            "max_new_tokens": "size",
            "features": "name",
            "bandit": [3, "x", Later(bandits.linucb, 4)],
            "policy": [-1, 8, 1.5, "x"],
            "beta0": "nonnegative",
            "regularization": "positive",
            "gamma": "nonnegative",
            "delta": "nonnegative",
            "alpha": [(0.2, 1.5), (-0.1, 0.5), (0.2,), (NAN, 0.5), 0.5, "x"],
            "num_rounds": "size",
            "steps": "size",
            "batch_size": "size",
            "transfer_size": "size",
            "temperature": "nonnegative",
        },
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_wrong_arguments_are_refused_by_name(name):
    assert refusals.refusals(TABLE, name) == []


def test_every_public_function_is_tried():
    assert refusals.functions(knexa_fl) - set(TABLE) == set()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompts": EMPTY, "prompt_mask": DATA.prompt_mask[:0]}, "prompts: expected at least one"),
        (OVERLAP._asdict(), "prompts: expected questions that are not in the evaluation"),
        ({"histogram": DATA.histogram * 0.5}, "histogram: expected shares that sum to 1"),
        ({"category": np.full(6, 12)}, "category"),
        ({"private": part(0, 3)}, "private"),
        ({"validation": None}, "validation"),
    ],
)
def test_wrong_data_are_refused_by_name(change, message):
    learner = knexa_fl.knexa(TEAM.value, optax.adam(0.1), **OPTIONS)
    with pytest.raises(ValueError, match=message):
        learner.init(TEAM.value.init(KEY), DATA._replace(**change))
