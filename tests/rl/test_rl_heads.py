"""Action heads against integrals and samples, and bad input of heads and networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import envs, rl
from jaxswarm.envs import continuous_actions, discrete_actions


@pytest.mark.parametrize("make", [rl.squashed_gaussian, rl.gaussian])
@pytest.mark.parametrize("state_dependent", [False, True])
def test_densities_integrate_to_one(make, state_dependent):
    head = make(1, -3.0, 1.0, initial_std=0.5, state_dependent=state_dependent)
    outputs = jnp.array([0.4, -0.2])
    raw = jnp.linspace(-8.0, 8.0, 20_001)[:, None]
    density = jnp.exp(jax.vmap(head.log_prob, (None, 0))(outputs, raw))
    over = jax.vmap(head.action)(raw)[:, 0] if make is rl.squashed_gaussian else raw[:, 0]
    assert float(jnp.trapezoid(density, over)) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    ("head", "outputs"),
    [
        (rl.categorical(3), jnp.array([0.1, -1.0, 2.0])),
        (rl.gaussian(2), jnp.array([0.1, -1.0, -0.3, 0.2])),
        (rl.squashed_gaussian(2, -2.0, 2.0), jnp.array([0.1, -1.0, -0.3, 0.2])),
    ],
)
def test_entropy_is_the_mean_of_minus_log_prob(head, outputs, key):
    keys = jax.random.split(key, 20_000)
    raw = jax.vmap(head.sample, (0, None))(keys, outputs)
    mean = -jax.vmap(head.log_prob, (None, 0))(outputs, raw).mean()
    entropy = jax.vmap(head.entropy, (0, None))(jax.random.split(keys[0], 20_000), outputs).mean()
    assert float(entropy) == pytest.approx(float(mean), abs=0.03)


def test_saturated_actions_have_finite_probabilities():
    head = rl.squashed_gaussian(1)
    outputs = jnp.array([30.0, 0.0])
    raw = jnp.array([31.0])
    value, grads = jax.value_and_grad(head.log_prob)(outputs, raw)
    assert bool(jnp.isfinite(value))
    assert bool(jnp.isfinite(grads).all())
    assert float(head.action(raw)[0]) == 1.0


def test_actions_are_within_their_bounds(key):
    for make in (rl.gaussian, rl.squashed_gaussian):
        head = make(2, jnp.array([-1.0, 0.0]), jnp.array([1.0, 4.0]), initial_std=3.0)
        action = head.action(head.sample(key, jnp.array([0.0, 0.0, 1.0, 1.0])))
        assert bool(jnp.all((action >= jnp.array([-1.0, 0.0])) & (action <= jnp.array([1.0, 4.0]))))
        assert np.allclose(head.action(head.mode(jnp.zeros(4))), [0.0, 2.0])


def test_heads_are_read_off_the_spec():
    assert rl.head_of(discrete_actions(4, 3)).num_outputs == 3
    assert rl.head_of(continuous_actions(4, 2)).num_scales == 2
    network = rl.network_for(envs.SumGuessing(3), critic="global", widths=(4,))
    params = rl.initialize(jax.random.key(0), network, 3, shared=False)
    assert params["actor"]["log_std"].shape == (3, 1)
    assert network.critic(jax.tree.map(lambda x: x[0], params["critic"]), (), jnp.ones(7))[1] == (
        pytest.approx(0.0, abs=20.0)
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rl.categorical(0), "num_actions: expected a whole number of at least 1"),
        (lambda: rl.gaussian(0), "size: expected a whole number of at least 1"),
        (lambda: rl.gaussian(1, 1.0, -1.0), "low, high: expected finite increasing"),
        (
            lambda: rl.squashed_gaussian(1, initial_std=0.0),
            "initial_std: expected a finite number > 0",
        ),
        (lambda: rl.head_of(jax.ShapeDtypeStruct((2,), jnp.float32)), "spec: expected discrete"),
        (
            lambda: rl.actor_critic_network(rl.categorical(2), 0),
            "num_features: expected a whole number of at least 1",
        ),
        (
            lambda: rl.actor_critic_network(rl.categorical(2), 1, hidden_size=-1),
            "hidden_size: expected a whole number of at",
        ),
        (
            lambda: rl.actor_critic_network(rl.categorical(2), 1, critic="all"),
            "unknown critic 'all'",
        ),
        (
            lambda: rl.actor_critic_network(rl.categorical(2), 1, activation="rel"),
            "did you mean 'relu'",
        ),
    ],
)
def test_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_several_choices_are_independent_categoricals(key):
    import itertools

    head = rl.categoricals((2, 3))
    outputs = jax.random.normal(key, (5,))
    raw = jnp.array(list(itertools.product(range(2), range(3))))
    log_prob = jax.vmap(lambda r: head.log_prob(outputs, r))(raw)
    expected = jax.nn.log_softmax(outputs[:2])[:, None] + jax.nn.log_softmax(outputs[2:])[None]
    assert jnp.allclose(log_prob, expected.ravel(), atol=1e-5)
    assert float(head.entropy(key, outputs)) == pytest.approx(
        -float(jnp.sum(jnp.exp(log_prob) * log_prob)), abs=1e-5
    )
    assert jnp.array_equal(head.mode(outputs), raw[jnp.argmax(log_prob)])
    with pytest.raises(ValueError, match="num_options"):
        rl.categoricals(())
