"""SAPO: choice and filter of shared groups, local verification, masks, packet age, vocabularies."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import agents, language, sharding, topology
from jaxswarm.data import tokenizers, verifiable
from jaxswarm.models import transformer
from jaxswarm.systems import sapo

TOKENIZER = verifiable.tokenizer()
NEWLINE = TOKENIZER.token("\n")
MODEL = transformer.from_config(transformer.Config(TOKENIZER.vocab_size, width=8, num_layers=1))
ONE = TOKENIZER.token("1")
N, Q, G, T = 3, 4, 4, 3
ITEMS = verifiable.draw_items(verifiable.reverse_comparison(2), N * Q, seed=0)
PROBLEMS = jax.tree.map(
    lambda x: jnp.asarray(np.reshape(x, (N, Q, *x.shape[1:]))),
    verifiable.to_arrays(ITEMS, TOKENIZER),
)
KEY = jax.random.key(7)


def ones(problems, completions):
    """Share of a response that is one of two characters: something that always varies."""
    hits = completions.mask & (completions.tokens % 2 == 0)
    return jnp.mean(hits.astype(jnp.float32), axis=-1)


EXACT = language.exact_match_reward(NEWLINE)


RING = topology.from_edges(np.array([[0, 1], [1, 2], [2, 0]]), N, name="ring", directed=True)


@functools.cache
def make(ring=False, **changes):
    options = {
        "local": 2,
        "external": 2,
        "num_samples": G,
        "max_new_tokens": T,
        "tokenizer": TOKENIZER,
    } | changes
    optimizer = options.pop("optimizer", None) or optax.sgd(0.1)
    reward = options.pop("reward", ones)
    if ring:
        options["topology"] = RING
    learner = sapo.sapo(MODEL, optimizer, reward, **options)
    return learner._replace(step=jax.jit(learner.step))


@pytest.fixture(scope="module")
def params():
    return agents.initialize(jax.random.key(0), MODEL.init, N)


def close(a, b, atol=1e-5):
    chex.assert_trees_all_close(a, b, atol=atol)


@pytest.fixture(scope="module")
def shared(params):
    """Initial state, rewards and packets of the round with the key ``KEY``."""
    learner = make()
    state = learner.init(params)
    sample_key = jax.random.split(KEY, 3)[0]
    rewards, packets = jax.jit(learner.sample)(sample_key, state, PROBLEMS)
    return state, rewards, packets


# The choice of groups


def test_the_choice_is_uniform_without_replacement_among_the_eligible():
    eligible = jnp.array([True, False, True, True, False, True])
    draw = jax.jit(jax.vmap(lambda key: sapo.choose_groups(key, eligible, 2)))
    index, valid = draw(jax.random.split(KEY, 6000))
    assert valid.all()
    assert (index[:, 0] != index[:, 1]).all()
    counts = np.bincount(np.asarray(index).ravel(), minlength=6)
    assert counts[[1, 4]].sum() == 0
    np.testing.assert_allclose(counts[[0, 2, 3, 5]] / 6000, 0.5, atol=0.03)


@pytest.mark.parametrize("count", [0, 3, 9])
def test_too_few_candidates_leave_padding(count):
    index, valid = sapo.choose_groups(KEY, jnp.array([False, True, False, True]), count)
    assert index.shape == valid.shape == (count,)
    assert valid.sum() == min(count, 2)
    assert (np.diff(valid.astype(int)) <= 0).all()
    assert set(index[valid].tolist()) <= {1, 3}


def test_groups_without_variance_or_with_nan_are_not_informative():
    rewards = jnp.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [jnp.nan, 1.0], [0.5, 0.5]])
    assert sapo.informative(rewards).tolist() == [False, False, True, False, False]
    with pytest.raises(ValueError, match="rewards: expected at least two responses"):
        sapo.informative(rewards[:, :1])


# Packets


@pytest.mark.slow
def test_packets_hold_text_and_no_rewards_or_solutions(shared):
    _, rewards, packets = shared
    assert set(packets._fields) == {
        "prompts", "prompt_mask", "answers", "answer_lengths", "tokens", "mask", "log_probs",
    }  # fmt: skip
    assert packets.log_probs is None
    assert packets.tokens.shape == (N, Q, G, T)
    assert packets.problems.solutions.shape == (N, Q, 0)
    close(sapo.verify(packets, ones), rewards)  # what a receiver computes from the text alone
    assert packets.well_formed.all()


def test_bytes_are_those_of_the_text(shared):
    _, _, packets = shared
    found = sapo.packet_bytes(packets, sapo.token_bytes(TOKENIZER))
    for i in range(N):
        texts = [item.question + item.answer for item in ITEMS[i * Q : (i + 1) * Q]]
        rows = np.where(packets.mask[i], packets.tokens[i], 0).reshape(-1, T)
        texts += tokenizers.decode_batch(TOKENIZER, rows)
        assert found[i] == sum(len(text.encode()) for text in texts)
    in_tokens = sapo.packet_bytes(packets)
    count = packets.prompt_mask.sum((1, 2)) + packets.answer_lengths.sum(1)
    np.testing.assert_array_equal(in_tokens, 4 * (count + packets.mask.sum((1, 2, 3))))


@pytest.mark.slow
def test_agents_with_other_vocabularies_read_the_same_text(shared):
    _, _, packets = shared
    other = tokenizers.character(verifiable.ALPHABET + "xyz")
    pairs = tokenizers.bpe([item.question for item in ITEMS], 262)
    sizes = {"prompt_length": 8, "answer_length": 2, "max_new_tokens": T + 1}
    for target in (other, pairs):
        made = sapo.reencode_packets(packets, TOKENIZER, target, **sizes)
        for i in np.ndindex(N, Q):
            rows = np.where(packets.mask[i], packets.tokens[i], 0)
            assert tokenizers.decode_batch(target, made.tokens[i]) == tokenizers.decode_batch(
                TOKENIZER, rows
            )
            np.testing.assert_array_equal(
                made.completions.finished[i], packets.completions.finished[i]
            )
            question = tokenizers.decode_batch(target, made.prompts[i][None])[0]
            assert question == ITEMS[i[0] * Q + i[1]].question
        exact = language.exact_match_reward(target.token("\n"))
        close(sapo.verify(made, exact), sapo.verify(packets, EXACT))
    table = tokenizers.token_map(TOKENIZER, other)
    made = sapo.reencode_packets(packets, TOKENIZER, other, **sizes)
    for i in np.ndindex(N, Q, G):  # padding that a model generates is no text
        kept = np.asarray(packets.mask[i] & (packets.tokens[i] != tokenizers.PAD))
        assert made.tokens[i][made.mask[i]].tolist() == table[packets.tokens[i]][kept].tolist()
    same = sapo.reencode_packets(
        packets, TOKENIZER, TOKENIZER, prompt_length=6, answer_length=1, max_new_tokens=T
    )
    chex.assert_trees_all_equal(same, jax.tree.map(np.asarray, packets))


def test_what_the_receiver_cannot_write_is_not_chosen(shared):
    _, _, packets = shared
    digits = tokenizers.character("0123456789?=\n")  # no letters: the questions are lost
    sizes = {"prompt_length": 8, "answer_length": 2, "max_new_tokens": T}
    assert not sapo.reencode_packets(packets, TOKENIZER, digits, **sizes).well_formed.any()
    sizes["prompt_length"] = 3  # too short for the questions
    assert not sapo.reencode_packets(packets, TOKENIZER, TOKENIZER, **sizes).well_formed.any()


# One round


@jax.jit
def by_hand(params, groups, valid):
    """SGD on the loss of given groups of one agent, written out group by group."""

    def loss(params):
        total, count = 0.0, 0
        for (packet, reward), counts in zip(groups, valid, strict=True):
            scores = transformer.completion_log_probs(
                MODEL, params, packet.prompts[None], packet.prompt_mask[None],
                packet.tokens[None], packet.mask[None],
            )[0]  # fmt: skip
            deviation = jnp.sqrt(jnp.mean((reward - reward.mean()) ** 2))
            advantage = (reward - reward.mean()) / (deviation + 1e-8)
            total -= counts * jnp.sum(jnp.where(packet.mask, advantage[:, None] * scores, 0.0))
            count += counts * packet.mask.sum()
        return total / count

    return jax.tree.map(lambda p, g: p - 0.1 * g, params, jax.grad(loss)(params))


def test_a_round_is_the_gradient_on_own_and_chosen_external_groups(shared):
    """The external choice of agent 1 is left a single candidate, so that it is known."""
    state, rewards, packets = shared
    learner = make()
    pool = jax.tree.map(lambda x: x[None], packets)
    flat = jnp.zeros((N, Q), bool).at[2, 1].set(True)
    constant = jnp.where(flat[:, :, None, None], pool.tokens[0], 3)[None]
    pool = pool._replace(
        tokens=constant, mask=jnp.where(flat[:, :, None, None], pool.mask[0], True)[None]
    )
    present = jnp.ones((1, N), bool)
    new, info = jax.jit(learner.update)(KEY, state, packets, rewards, pool, present)
    np.testing.assert_array_equal(info.external, [1, 1, 0])  # agent 2 does not take its own
    np.testing.assert_array_equal(info.missing, [1, 1, 2])

    def group(tree, *place):
        return jax.tree.map(lambda x: x[place], tree)

    for agent in (1, 2):
        groups = [(group(packets, agent, q), rewards[agent, q]) for q in range(2)]
        outside = group(pool, 0, 2, 1)
        groups.append((outside, ones(None, outside.completions)))
        before, found = (agents.unstack(each.params)[agent] for each in (state, new))
        expected = by_hand(before, groups, jnp.array([1, 1, agent != 2]))
        close(found, expected, atol=2e-5)


@pytest.mark.slow
def test_without_external_groups_it_is_grpo(params):
    """8/0 is independent GRPO on the same samples; nothing is sent."""
    learner = make(local=Q, external=0)
    state, info = learner.step(KEY, learner.init(params), PROBLEMS)
    assert (info.traffic.bytes == 0).all()
    assert (info.missing == 0).all()
    sample_key = jax.random.split(KEY, 3)[0]
    plain = language.independent(
        language.grpo(MODEL, optax.sgd(0.1), ones, num_samples=G, max_new_tokens=T)
    )
    expected, plain_info = jax.jit(plain.step)(sample_key, plain.init(params), PROBLEMS)
    close(state.params, expected.params)
    close(
        (info.reward, info.live, info.loss), (plain_info.reward, plain_info.live, plain_info.loss)
    )


@pytest.mark.slow
def test_traced_ratios_are_the_static_ones(params):
    """One compiled program runs all ratios; each is that of the plain integers."""

    def step(local, external):
        learner = sapo.sapo(
            MODEL, optax.sgd(0.1), ones, local=local, external=external, num_groups=4,
            num_samples=G, max_new_tokens=T, tokenizer=TOKENIZER,
        )  # fmt: skip
        state, info = learner.step(KEY, learner.init(params), PROBLEMS)
        return state.params, info

    traced = jax.jit(step)
    learner = make()
    state, info = learner.step(KEY, learner.init(params), PROBLEMS)
    close(traced(2, 2), (state.params, info))
    alone, info = traced(4, 0)
    learner = make(local=4, external=0)
    close(alone, learner.step(KEY, learner.init(params), PROBLEMS)[0].params)
    assert (info.external == 0).all()
    assert (info.traffic.bytes == 0).all()
    assert (traced(0, 4)[1].external == 4).all()


ALL = jnp.ones(N, bool)


@functools.cache
def patient():
    """Own packets of two rounds ago are still in the buffer; Adam, so that a state moves."""
    return make(optimizer=optax.adam(0.1), max_age=2, external=Q, local=1)


@pytest.mark.slow
def test_absent_agents_neither_learn_nor_send(params):
    learner = patient()
    start = learner.init(params, PROBLEMS)
    active = jnp.array([True, False, True])
    state, info = learner.step(KEY, start, sapo.Round(PROBLEMS, active, ALL))

    def of_agent(tree):
        return jax.tree.map(lambda x: x[1], tree)

    kept = of_agent((state.params, state.opt_state))
    chex.assert_trees_all_equal(kept, of_agent((start.params, start.opt_state)))
    assert not any(jax.tree.leaves(of_agent(info)))
    assert info.traffic.messages.tolist() == [1, 0, 1]
    silent = learner.step(KEY, start, sapo.Round(PROBLEMS, ALL, active))[1]
    assert silent.traffic.messages.tolist() == [2, 0, 2]
    assert (silent.reward > 0).all()
    single = learner.step(KEY, start, sapo.Round(PROBLEMS, ALL, jnp.array([True, False, False])))
    assert single[1].external.tolist() == [0, Q, Q]


@pytest.mark.slow
def test_packets_go_along_the_edges_of_a_topology(params):
    learner = make(ring=True, external=Q)
    state = learner.init(params)
    only = sapo.Round(PROBLEMS, sharing=jnp.array([True, False, False]))
    info = learner.step(KEY, state, only)[1]
    receiver = int(np.asarray(RING.receivers)[np.asarray(RING.senders) == 0][0])
    assert info.external[receiver] == Q
    assert info.external.sum() == Q
    assert info.traffic.messages.tolist() == [1, 0, 0]


def test_packets_stay_for_their_age_and_no_longer(params):
    learner = patient()
    state = learner.init(params, PROBLEMS)
    sends = sapo.Round(PROBLEMS, ALL, jnp.array([True, False, False]))
    quiet = sapo.Round(PROBLEMS, ALL, jnp.array([False, False, True]))
    state, info = learner.step(KEY, state, sends)
    assert info.external.tolist() == [0, Q, Q]
    assert info.age.tolist() == [0, 0, 0]
    found = []
    for index in range(3):
        state, info = learner.step(jax.random.fold_in(KEY, index), state, quiet)
        found.append((float(info.age[2]), float(info.external[2])))  # agent 2 sends, not to itself
    assert found == [(1, Q), (2, Q), (0, 0)]
    with pytest.raises(ValueError, match="problems: expected the questions of 3 agents"):
        learner.init(params)


@pytest.mark.slow
def test_the_behaviour_ratio_divides_by_the_senders_probability(shared):
    state, _, packets = shared
    learner = make(ratio_mode="behaviour", clip_low=0.0, clip_high=0.0)
    _, info = learner.step(KEY, state, PROBLEMS)
    assert (info.clip_fraction > 0.05).all()  # external tokens; the own ratios are 1
    _, plain = make().step(KEY, state, PROBLEMS)
    assert (plain.clip_fraction == 0).all()
    more = info.traffic.bytes - plain.traffic.bytes  # four bytes a token to two receivers
    np.testing.assert_allclose(more, 2 * 4 * packets.mask.sum((1, 2, 3)))


@pytest.mark.slow
def test_the_local_filter_drops_groups_without_a_gradient(shared):
    state, rewards, packets = shared
    learner = make(local=Q, external=0, filter_local=True)
    rewards = jnp.zeros_like(rewards).at[:, 1].set(jnp.arange(G) % 2)
    info = jax.jit(learner.update)(KEY, state, packets, rewards, None, None)[1]
    assert info.missing.tolist() == [Q - 1] * N
    assert info.live.tolist() == [1 / Q] * N

    @jax.jit
    def traced(is_on):
        chosen = sapo.sapo(
            MODEL, optax.sgd(0.1), ones, local=Q, external=0, num_samples=G, max_new_tokens=T,
            filter_local=is_on,
        )  # fmt: skip
        return chosen.update(KEY, state, packets, rewards, None, None)[1]

    close(traced(True).loss, info.loss)
    assert traced(False).missing.tolist() == [0] * N


@pytest.mark.slow
def test_wrong_external_responses_can_be_left_out(shared):
    state, rewards, packets = shared
    pool, present = jax.tree.map(lambda x: x[None], (packets, jnp.ones(N, bool)))

    @jax.jit
    def loss(weight):
        learner = sapo.sapo(
            MODEL, optax.sgd(0.1), ones, local=0, external=2, num_samples=G, max_new_tokens=T,
            negative_weight=weight,
        )  # fmt: skip
        return learner.update(KEY, state, packets, rewards, pool, present)[1].loss

    assert (loss(0.0) < loss(1.0) - 0.1).all()  # the loss is minus the mean advantage


@pytest.mark.slow
def test_forged_packets_are_verified_like_others(shared):
    """Junk passes filter and verifier, true solutions too; the forger learns from its own."""
    state, _, own = shared
    for forge in (sapo.padded_answers(NEWLINE, TOKENIZER.vocab_size), sapo.solved()):
        forged = jax.vmap(forge)(jax.random.split(KEY, N), own, PROBLEMS)
        assert sapo.verify(forged, EXACT)[:, :, ::2].all()
        assert forged.well_formed.all()
    given = sapo.Round(PROBLEMS, forging=jnp.array([False, True, True]))
    learner = make(forge=sapo.padded_answers(NEWLINE, TOKENIZER.vocab_size), reward=EXACT)
    assert (learner.step(KEY, state, given)[1].external == 2).all()
    with pytest.raises(ValueError, match="forging: expected None without a function forge"):
        make().step(KEY, state, given)


@pytest.mark.slow
def test_one_agent_learns_alone():
    learner = make(local=Q, external=0)
    params = agents.initialize(KEY, MODEL.init, 1)
    problems = jax.tree.map(lambda x: x[:1], PROBLEMS)
    _, info = jax.eval_shape(learner.step, KEY, learner.init(params), problems)
    assert info.reward.shape == (1,)
    with pytest.raises(ValueError, match="external: expected 0 for a single agent"):
        make().step(KEY, make().init(params), problems)


@pytest.mark.slow
def test_families_with_different_vocabularies_learn_from_each_other(params):
    other = tokenizers.character(verifiable.ALPHABET + "xyz")
    large = transformer.from_config(transformer.Config(other.vocab_size, width=12, num_layers=1))
    options = {"local": 1, "external": 2, "num_samples": G, "max_new_tokens": T}
    families = {
        "a": sapo.Family(sapo.sapo(MODEL, optax.sgd(0.1), ones, **options), TOKENIZER, T),
        "b": sapo.Family(sapo.sapo(large, optax.sgd(0.1), ones, **options), other, T),
    }
    own = verifiable.to_arrays(ITEMS[:Q], other)
    problems = {"a": PROBLEMS, "b": jax.tree.map(lambda x: jnp.asarray(x)[None], own)}
    states = {
        "a": families["a"].learner.init(params),
        "b": families["b"].learner.init(agents.initialize(KEY, large.init, 1)),
    }
    new, infos = sapo.mixed_round(KEY, families, states, problems)
    assert infos["a"].external.tolist() == [2, 2, 2]
    assert infos["b"].external.tolist() == [2]
    assert infos["a"].traffic.messages.tolist() == [3, 3, 3]
    chex.assert_tree_all_finite((new["a"].params, new["b"].params, infos))
    for name, words in (("states", "states: expected a dict"), ("problems", "problems: expected")):
        given = {"states": states, "problems": problems, name: {}}
        with pytest.raises(ValueError, match=words):
            sapo.mixed_round(KEY, families, **given)


@pytest.mark.slow
def test_shared_responses_raise_the_reward(params):
    learner = make(optimizer=optax.adam(1e-2))

    @jax.jit
    def train(key, state):
        return jax.lax.scan(
            lambda s, k: learner.step(k, s, PROBLEMS), state, jax.random.split(key, 60)
        )

    _, info = train(KEY, learner.init(params))
    assert info.reward[-5:].mean() > info.reward[:5].mean() + 0.2


@pytest.mark.slow
def test_a_mesh_of_eight_devices_gives_the_same_round():
    """Packets cross devices, parameters and optimizer states do not move."""
    if jax.device_count() < 8:
        pytest.skip("needs eight devices")
    n, learner = 8, make(external=2, max_age=1)
    rows = np.arange(n * Q) % (N * Q)
    problems = jax.tree.map(
        lambda x: x.reshape(-1, *x.shape[2:])[rows].reshape(n, Q, *x.shape[2:]), PROBLEMS
    )
    state = learner.init(agents.initialize(jax.random.key(0), MODEL.init, n), problems)
    mesh = sharding.mesh()

    def placed(tree):
        return sharding.shard(tree, mesh, num_agents=n)

    expected, found = state, placed(state)
    for key in jax.random.split(KEY, 2):  # the second round has packets of the first, too
        expected, info = learner.step(key, expected, problems)
        found, sharded_info = learner.step(key, found, placed(problems))
    close(found, expected)
    close(sharded_info, info)
    leaf = jax.tree.leaves(found.params)[0]
    assert len(leaf.sharding.device_set) == 8
    assert not leaf.sharding.is_fully_replicated
