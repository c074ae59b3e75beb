"""Laws of the transformer: causality, cache, padding, permutations, sampling, log-probabilities."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import agents
from jaxswarm.models import transformer

VOCAB = 11
CONFIG = transformer.Config(VOCAB, width=16, num_layers=2, num_heads=2, value_head=True)
MODEL = transformer.from_config(CONFIG)
RNG = np.random.default_rng(0)
TOKENS = RNG.integers(2, VOCAB, (4, 7)).astype(np.int32)
LENGTHS = np.array([7, 3, 5, 1])
RIGHT = np.arange(7)[None] < LENGTHS[:, None]
LEFT = RIGHT[:, ::-1]
LEFT_TOKENS = np.stack([np.roll(row, 7 - n) for row, n in zip(TOKENS, LENGTHS, strict=True)])
END = 3


@pytest.fixture(scope="module")
def params():
    """Parameters with sharp distributions, so that differences show."""
    found = jax.jit(MODEL.init)(jax.random.key(0))
    return jax.tree.map(lambda x: x + 0.3 * jax.random.normal(jax.random.key(1), x.shape), found)


apply = jax.jit(MODEL.apply)
extend = jax.jit(MODEL.extend)


@jax.jit
def sample(key, params, prompts, mask=None, temperature=1.0):
    return transformer.generate(
        key, MODEL, params, prompts, mask, max_new_tokens=9, temperature=temperature, end_token=END
    )


sequence_log_probs = jax.jit(partial(transformer.log_probs, MODEL))
completion_log_probs = jax.jit(partial(transformer.completion_log_probs, MODEL))


@partial(jax.jit, static_argnums=(3, 4))
def draw(key, params, prompts, steps, samples=None, temperature=1.0):
    return transformer.generate(
        key,
        MODEL,
        params,
        prompts,
        max_new_tokens=steps,
        num_samples=samples,
        temperature=temperature,
        end_token=END,
    )


def close(a, b, **tolerance):
    chex.assert_trees_all_close(a, b, **({"atol": 2e-5, "rtol": 2e-5} | tolerance))


@pytest.mark.slow
def test_number_of_parameters(params):
    for config in (CONFIG, transformer.sized("27k", 40), transformer.sized("50m", 300)):
        shapes = jax.eval_shape(transformer.from_config(config).init, jax.random.key(0))
        assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == config.num_params
    for size, wanted in (("27k", 27e3), ("100k", 1e5), ("1m", 1e6), ("10m", 1e7), ("50m", 5e7)):
        assert transformer.sized(size, 50).num_params == pytest.approx(wanted, rel=0.12)


@pytest.mark.slow
def test_later_tokens_do_not_change_earlier_outputs(params):
    changed = TOKENS.copy()
    changed[:, 4:] = (changed[:, 4:] + 1) % VOCAB
    before, after = apply(params, TOKENS), apply(params, changed)
    chex.assert_trees_all_equal(*(jax.tree.map(lambda x: x[:, :4], o) for o in (before, after)))
    assert (before.logits[:, 4:] != after.logits[:, 4:]).any()


@pytest.mark.slow
def test_positions_matter(params):
    """A permuted past gives other logits, a model without positions would not notice."""
    swapped = TOKENS[:, [1, 0, 2, 3, 4, 5, 6]]
    logits = [apply(params, t).logits[:, -1] for t in (TOKENS, swapped)]
    assert np.abs(logits[0] - logits[1]).max() > 1e-3


def test_rotary_scores_depend_on_distance_only():
    from jaxswarm.models.transformer._network import rotary_angles, rotate

    x, y = (jnp.asarray(RNG.normal(size=(1, 1, 1, 1, 8)), jnp.float32) for _ in range(2))

    def score(i, j):
        at = [rotary_angles(jnp.array([[p]]), 8, 100.0, 16) for p in (i, j)]
        return float(jnp.sum(rotate(x, at[0]) * rotate(y, at[1])))

    assert score(5, 2) == pytest.approx(score(13, 10), abs=1e-5)
    assert score(5, 2) != pytest.approx(score(5, 3), abs=1e-3)


def test_cached_equals_uncached(params):
    whole = apply(params, TOKENS)
    cache, parts = MODEL.start(4, 9), []
    for begin, end in ((0, 3), (3, 4), (4, 5), (5, 7)):
        outputs, cache = extend(params, cache, TOKENS[:, begin:end])
        parts.append(outputs)
    close(jax.tree.map(lambda *x: jnp.concatenate(x, 1), *parts), whole)
    assert cache.lengths.tolist() == [7] * 4


@pytest.mark.parametrize(("tokens", "mask"), [(TOKENS, RIGHT), (LEFT_TOKENS, LEFT)])
def test_padding_has_no_influence(params, tokens, mask):
    outputs = apply(params, tokens, mask)
    chex.assert_tree_all_finite(outputs)
    for i, n in enumerate(LENGTHS):
        alone = apply(params, TOKENS[i : i + 1, :n])
        close(
            jax.tree.map(lambda x, i=i: x[i][mask[i]], outputs), jax.tree.map(lambda x: x[0], alone)
        )
    other = np.where(mask, tokens, (tokens + 3) % VOCAB)
    masked = apply(params, other, mask)
    chex.assert_trees_all_equal(masked, outputs)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize(("prompts", "mask"), [(TOKENS, RIGHT), (LEFT_TOKENS, LEFT)])
def test_a_padded_prompt_gives_the_completion_of_the_prompt(params, prompts, mask, temperature):
    """Row i draws from fold_in(key, i): the row stays where it is, the padding goes."""
    key = jax.random.key(5)
    padded = sample(key, params, prompts, mask, temperature)
    for i in (1, 2):
        n = LENGTHS[i]
        alone = sample(key, params, np.repeat(TOKENS[i : i + 1, :n], 4, 0), None, temperature)
        close(
            jax.tree.map(lambda x, i=i: x[i], (alone, padded))[0],
            jax.tree.map(lambda x, i=i: x[i], padded),
        )


def test_generated_log_probs_are_those_of_teacher_forcing(params):
    out = sample(jax.random.key(2), params, TOKENS, RIGHT, 1.3)
    forced = completion_log_probs(params, TOKENS, RIGHT, out.tokens, out.mask)
    close(out.log_probs, forced)
    whole = np.concatenate([LEFT_TOKENS, out.tokens], 1)
    mask = np.concatenate([LEFT, out.mask], 1)
    close(sequence_log_probs(params, whole, mask)[:, 7:], forced)
    plain = sequence_log_probs(params, TOKENS)
    assert not plain[:, 0].any()
    total = jax.nn.log_softmax(apply(params, TOKENS).logits)[:, :-1]
    close(plain[:, 1:], np.take_along_axis(np.asarray(total), TOKENS[:, 1:, None], 2)[..., 0])


def test_masks_and_lengths_of_completions(params):
    out = sample(jax.random.key(2), params, np.repeat(TOKENS, 16, 0))
    mask, tokens = np.asarray(out.mask), np.asarray(out.tokens)
    assert 0 < out.finished.mean() < 1
    np.testing.assert_array_equal(out.lengths, mask.sum(1))
    np.testing.assert_array_equal(mask, np.arange(9)[None] < out.lengths[:, None])
    assert not tokens[~mask].any()
    assert not np.asarray(out.log_probs)[~mask].any()
    assert (np.asarray(out.log_probs)[mask] < 0).all()
    last = np.take_along_axis(tokens, np.asarray(out.lengths)[:, None] - 1, 1)[:, 0]
    np.testing.assert_array_equal(last == END, out.finished)
    assert ((tokens == END).sum(1) == np.asarray(out.finished)).all()


def test_a_batch_permutes_with_its_prompts(params):
    order = np.array([2, 0, 3, 1])
    out = sample(jax.random.key(2), params, TOKENS, RIGHT, 0.0)
    permuted = sample(jax.random.key(3), params, TOKENS[order], RIGHT[order], 0.0)
    close(permuted, jax.tree.map(lambda x: x[order], out))


@pytest.mark.slow
def test_greedy_takes_the_largest_logit(params):
    out = sample(jax.random.key(2), params, TOKENS, None, 0.0)
    sequence = np.concatenate([TOKENS, out.tokens], 1)
    best = np.argmax(apply(params, sequence).logits, -1)[:, 6:-1]
    mask = np.asarray(out.mask)
    np.testing.assert_array_equal(best[mask], np.asarray(out.tokens)[mask])
    static = jax.jit(partial(draw.__wrapped__, temperature=0), static_argnums=3)(
        jax.random.key(9), params, TOKENS, 9
    )
    chex.assert_trees_all_equal(static.tokens, out.tokens)


@pytest.mark.slow
def test_each_prompt_has_its_temperature(params):
    """Rows of temperature 0 are greedy, the others what they are beside warm rows."""
    key = jax.random.key(6)
    heat = jnp.array([0.0, 1.0, 0.0, 1.0])
    mixed = draw(key, params, TOKENS, 5, None, heat)
    cold, warm = (draw(key, params, TOKENS, 5, None, jnp.full(4, t)) for t in (0.0, 1.0))
    pick = jax.tree.map(
        lambda a, b: jnp.where((heat > 0).reshape((4,) + (1,) * (a.ndim - 1)), a, b), warm, cold
    )
    close(mixed, pick)


@pytest.mark.slow
def test_streams_depend_on_key_and_row_only(params):
    """Neither the number of rows nor of steps changes a completion; samples are rows."""
    key = jax.random.key(4)
    out = sample(key, params, TOKENS)
    fewer = draw(key, params, TOKENS[:2], 5)
    np.testing.assert_array_equal(fewer.tokens, out.tokens[:2, :5])
    repeated = sample(key, params, np.repeat(TOKENS[:1], 4, 0))
    grouped = draw(key, params, TOKENS[:1], 9, 4)
    close(jax.tree.map(lambda x: x[0], grouped), repeated)
    forced = completion_log_probs(params, TOKENS[:1], None, grouped.tokens, grouped.mask)
    close(forced, grouped.log_probs)


def test_sampling_has_the_distribution_of_the_softmax():
    logits = jnp.array([[0.3, -1.0, 2.0, -jnp.inf, 0.0]])
    noise = (jnp.arange(20_000) + 0.5) / 20_000
    for heat, top_k in ((1.0, None), (0.5, None), (2.0, 3)):
        drawn = transformer.sample_tokens(
            jnp.repeat(logits, 20_000, 0), noise, jnp.full(20_000, heat), top_k=top_k
        )
        kept = logits[0] if top_k is None else jnp.where(logits[0] >= 0.0, logits[0], -jnp.inf)
        shares = np.bincount(drawn, minlength=5) / 20_000
        np.testing.assert_allclose(shares, jax.nn.softmax(kept / heat), atol=2e-4)
    extremes = jnp.array([0.0, 1.0 - 2.0**-24])
    ends = transformer.sample_tokens(jnp.repeat(logits, 2, 0), extremes, jnp.ones(2))
    assert ends.tolist() == [0, 4]
    one = transformer.sample_tokens(jnp.repeat(logits, 2, 0), extremes, jnp.ones(2), top_k=1)
    assert one.tolist() == [2, 2]


@pytest.mark.slow
def test_agents_are_an_axis(params, key):
    """Vectorized over agents, each generates what it generates alone; one program for all."""
    stacked = jax.jit(lambda k: agents.initialize(k, MODEL.init, 3))(key)
    keys = agents.keys(key, 3)
    prompts = np.stack([TOKENS, (TOKENS + 1) % VOCAB, (TOKENS + 2) % VOCAB])
    many = jax.jit(jax.vmap(sample, (0, 0, 0)))(keys, stacked, prompts)
    one = sample(keys[1], jax.tree.map(lambda x: x[1], stacked), prompts[1])
    close(jax.tree.map(lambda x: x[1], many), one)


def test_steps_sum_their_tokens():
    values = jnp.array([[-1.0, -2.0, -3.0, jnp.nan], [-4.0, -5.0, -6.0, -7.0]])
    tokens = jnp.array([[5, 2, 6, 6], [2, 2, 7, 8]])
    ids = transformer.step_ids(tokens, 2)
    assert ids.tolist() == [[0, 0, 1, 1], [0, 1, 2, 2]]
    mask = jnp.array([[True, True, True, False], [True] * 4])
    steps = transformer.step_log_probs(values, ids, 3, mask)
    assert steps.tolist() == [[-3.0, -3.0, 0.0], [-4.0, -5.0, -13.0]]
    oracle = jax.vmap(lambda v, i: jax.ops.segment_sum(v, i, 3))(values[1:], ids[1:])
    close(steps[1:], oracle)
    slope = jax.grad(lambda v: transformer.step_log_probs(v, ids, 3, mask).sum())(values)
    assert slope.tolist() == [[1.0, 1.0, 1.0, 0.0], [1.0] * 4]


@pytest.mark.slow
def test_adapters(params, key):
    adapters = transformer.lora(2, alpha=4.0, targets=("qkv", "down"))
    adapter = adapters.init(key, params)
    assert set(adapter) == {f"block_{i}/{n}" for i in (0, 1) for n in ("qkv", "down")}
    tuned = transformer.adapted(MODEL, params, adapters)
    close(jax.jit(tuned.apply)(adapter, TOKENS), apply(params, TOKENS))
    adapter = jax.tree.map(lambda x: x + 0.1, adapter)
    merged = adapters.merge(params, adapter)
    close(jax.jit(tuned.apply)(adapter, TOKENS), apply(merged, TOKENS))
    factors = adapter["block_1/qkv"]
    change = merged["block_1"]["qkv"]["kernel"] - params["block_1"]["qkv"]["kernel"]
    close(change, 2.0 * factors["a"] @ factors["b"])
    assert np.linalg.matrix_rank(np.asarray(change), tol=1e-4) <= 2
    untouched = [merged["embed"], merged["block_0"]["up"], merged["norm"]]
    chex.assert_trees_all_equal(
        untouched, [params["embed"], params["block_0"]["up"], params["norm"]]
    )

    def loss(adapter):
        return -transformer.log_probs(tuned, adapter, TOKENS).mean()

    before, slope = jax.jit(jax.value_and_grad(loss))(adapter)
    assert loss(jax.tree.map(lambda p, g: p - 0.02 * g, adapter, slope)) < before


@pytest.mark.slow
def test_families_keep_the_order_of_agents(key):
    models = {
        "small": transformer.from_config(transformer.Config(VOCAB, width=8, num_layers=1)),
        "large": MODEL,
    }
    swarm = transformer.families(models, ["large", "small", "large"])
    assert {name: ids.tolist() for name, ids in swarm.members.items()} == {
        "small": [1],
        "large": [0, 2],
    }
    params = jax.jit(swarm.init)(key)
    prompts = np.stack([TOKENS[:2], TOKENS[1:3], TOKENS[2:]])

    @jax.jit
    def outputs(params, prompts):
        return swarm.map(lambda m, p, x: m.apply(p, x).logits, params, prompts)

    logits = outputs(params, prompts)
    last = jax.tree.map(lambda x: x[1], params["large"])
    close(logits[2], apply(last, prompts[2]).logits)
    only = jax.tree.map(lambda x: x[0], params["small"])
    close(logits[1], jax.jit(models["small"].apply)(only, prompts[1]).logits)


@pytest.mark.slow
def test_half_precision_computes_and_keeps_float32_parameters(key):
    model = transformer.from_config(transformer.Config(VOCAB, width=16, dtype="bfloat16"))
    params = jax.jit(model.init)(key)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(params)} == {"float32"}
    out = jax.jit(lambda p: transformer.generate(key, model, p, TOKENS, max_new_tokens=3))(params)
    assert out.log_probs.dtype == jnp.float32
    chex.assert_tree_all_finite(out.log_probs)
    exact = transformer.from_config(transformer.Config(VOCAB, width=16))
    close(
        jax.jit(model.apply)(params, TOKENS).logits,
        jax.jit(exact.apply)(params, TOKENS).logits,
        atol=2e-2,
        rtol=1,
    )


@pytest.mark.slow
def test_it_learns_to_copy(key):
    """The second half of a sequence is the first: attention over a distance is learned."""
    import optax

    model = transformer.from_config(transformer.Config(8, width=32, num_layers=2))
    optimizer = optax.adam(3e-3)
    mask = jnp.arange(8)[None] >= 4

    def step(carry, key):
        params, state = carry
        half = jax.random.randint(key, (32, 4), 2, 8)

        def loss(params):
            found = transformer.log_probs(model, params, jnp.concatenate([half, half], 1))
            return -jnp.sum(jnp.where(mask, found, 0.0)) / (32 * 4)

        value, grads = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(grads, state)
        return (optax.apply_updates(params, updates), state), value

    @jax.jit
    def train(key):
        params = model.init(key)
        return jax.lax.scan(step, (params, optimizer.init(params)), jax.random.split(key, 300))[1]

    losses = train(key)
    assert losses[0] > 1.5
    assert losses[-10:].mean() < 0.3


def test_outputs_at_one_token_alone_are_those_of_all_tokens():
    model = transformer.from_config(transformer.Config(vocab_size=12, width=8, value_head=True))
    params = model.init(jax.random.key(0))
    tokens = jax.random.randint(jax.random.key(1), (2, 5), 0, 12)
    mask, at = jnp.array([[True] * 5, [False, True, True, True, False]]), jnp.array([4, 3])

    @jax.jit
    def both(params):
        every, cache = model.extend(params, model.start(2, 6), tokens, mask)
        assert model.extend_at is not None
        found, other = model.extend_at(params, model.start(2, 6), tokens, mask, at)
        return every, cache, found, other

    every, cache, found, other = both(params)
    for all_outputs, chosen in zip(every, found, strict=True):
        wanted = np.asarray(all_outputs)[np.arange(2), np.asarray(at)]
        np.testing.assert_allclose(np.asarray(chosen)[:, 0], wanted, atol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, cache, other)
