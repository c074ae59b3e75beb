"""Decision rules, mean-field control, execution without the mean field, and the limit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import collective, envs, rl, rollout
from jaxswarm.collective import HeadingTaskParams

TASK = collective.kuramoto_task(6, params=HeadingTaskParams(width=0.8))


def turning(y):
    return 1.5 * y[1:]


def test_rules_against_loops():
    kernel = collective.kernel_rule(TASK, points=3, bandwidth=0.7)
    bins = collective.histogram_rule(TASK, points=3)
    params = np.random.default_rng(0).uniform(-1, 1, kernel.num_params).astype(np.float32)
    table = params.reshape(9, 2)
    for y in ([0.1, -0.4], [-1.0, 1.0], [0.5, 0.5]):
        weight = np.exp(-0.5 * np.sum(((kernel.grid - y) / (0.7 * 2 / 3)) ** 2, axis=1))
        mixed = weight @ table / weight.sum()
        mean, std = kernel.distribution(params, jnp.array(y))
        assert float(mean[0]) == pytest.approx(mixed[0], abs=1e-5)
        assert float(std[0]) == pytest.approx(0.02 + 0.48 * (mixed[1] + 1) / 2, abs=1e-5)
        place = [min(int((v + 1.0) / (2 / 3)), 2) for v in y]
        assert float(bins.distribution(params, jnp.array(y))[0][0]) == pytest.approx(
            table[3 * place[0] + place[1], 0], abs=1e-6
        )


def test_kernels_become_bins_as_they_narrow(key):
    bins = collective.histogram_rule(TASK, points=4)
    narrow = collective.kernel_rule(TASK, points=4, bandwidth=1e-3)
    y = jax.random.uniform(key, (50, 2), minval=-1.2, maxval=1.2)
    params = jax.random.uniform(key, (bins.num_params,), minval=-1.0)
    one, two = (jax.vmap(rule.distribution, (None, 0))(params, y) for rule in (bins, narrow))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), one, two)


def test_kernels_are_lipschitz_and_bins_jump():
    line = jnp.stack([jnp.zeros(400), jnp.linspace(-1.0, 1.0, 400)], axis=1)
    steps = {}
    for rule in (collective.kernel_rule(TASK), collective.histogram_rule(TASK)):
        params = rule.params_of(lambda y: jnp.sign(y[1:]))
        mean = jax.vmap(rule.distribution, (None, 0))(params, line)[0][:, 0]
        steps[rule.lipschitz] = float(jnp.abs(jnp.diff(mean)).max())
    assert steps[True] < 0.05 < 0.9 < steps[False]


def test_actions_are_sampled_by_each_agent_from_one_rule(key):
    rule = collective.kernel_rule(TASK, std_range=(0.02, 0.9))
    params = rule.params_of(lambda y: 0.8 * jnp.ones(1), 0.9)
    observations = jnp.zeros((4000, 2))
    act = jax.jit(lambda x: collective.act_by_rule(key, rule, params, x))
    actions = act(observations)
    assert float(jnp.abs(actions).max()) <= 1.0  # clipped to the task's bounds
    assert float(actions.std()) > 0.3
    few = act(observations[:3])
    np.testing.assert_allclose(few, actions[:3])  # however many agents there are


ENVIRONMENTS = {
    "control": lambda n: collective.MeanFieldControl(
        collective.kuramoto_task(n), collective.kernel_rule(collective.kuramoto_task(n), points=2)
    ),
    "swarm": lambda n: collective.FiniteSwarm(collective.kuramoto_task(n)),
}


@pytest.mark.slow  # ten programs
def test_swarm_environment_conforms():
    quiet = HeadingTaskParams(noise=0.0)
    envs.conformance.check(ENVIRONMENTS["swarm"], noiseless=quiet)


def test_control_is_an_environment_of_one_agent(key):
    env = ENVIRONMENTS["control"](5)
    state, first = jax.jit(env.reset)(key)
    assert first.observation.mean_field.shape == (1, 7)
    action = jnp.zeros(env.action_spec.shape)
    _, after = jax.jit(env.step)(state, action)
    env.observation_spec.validate(after.observation)
    assert after.reward.shape == (1,)
    with pytest.raises(ValueError, match="rule: expected 8 parameters, got 18"):
        env.with_rule(collective.kernel_rule(TASK, points=3))


@pytest.mark.slow
def test_execution_is_control_without_the_mean_field(key):
    """The same rules, swarm and samples give the same rewards."""
    rule = collective.kernel_rule(TASK, points=3)
    params = rule.params_of(turning, 0.1)
    still = TASK.params._replace(noise=0.0)
    env = collective.MeanFieldControl(TASK, rule, time_limit=8)
    constant = envs.scripted(lambda key, observation: params[None])
    sequence = jax.jit(lambda k: collective.open_loop(k, env, constant, env_params=still))(key)
    assert sequence.rule_params.shape == (8, rule.num_params)
    run = jax.jit(
        lambda params, num_steps: collective.execute(
            key, TASK, rule, params, env_params=still, num_steps=num_steps
        ),
        static_argnums=1,
    )
    one = run(sequence.rule_params, None)
    two = run(params, 8)
    np.testing.assert_allclose(one.rewards, two.rewards)
    assert float(one.returns) == pytest.approx(float(one.rewards @ 0.99 ** np.arange(8)), rel=1e-5)


@pytest.mark.slow
def test_order_grows_towards_the_limit_as_the_swarm_does(key):
    """``J^N`` of a fixed rule approaches the density's return."""
    physics = HeadingTaskParams(width=0.8)

    def make(n):
        return collective.kuramoto_task(n, params=physics, radius=0.4)

    rule = collective.kernel_rule(make(1))
    params = rule.params_of(turning, 0.1)
    limit = jax.jit(lambda: collective.kuramoto_limit(rule, params, 30, physics))()
    found = collective.convergence(key, make, rule, params, (8, 128), 64, num_steps=30)
    bias = [abs(float(found[n].mean() - limit.returns)) for n in (8, 128)]
    assert bias[1] < 0.25 * bias[0]
    assert float(limit.density.sum()) == pytest.approx(1.0, abs=1e-3)
    finer = jax.jit(lambda: collective.kuramoto_limit(rule, params, 30, physics, cells=512))()
    assert float(finer.returns) == pytest.approx(float(limit.returns), rel=0.01)


@pytest.mark.slow
def test_aggregation_density_against_many_agents(key):
    physics = collective.AggregationTaskParams()
    task = collective.aggregation_task(512)
    rule = collective.kernel_rule(task)
    params = rule.params_of(lambda y: -y, 0.1)
    limit = jax.jit(lambda: collective.aggregation_limit(rule, params, 12, physics))()
    run = jax.jit(lambda k: collective.execute(k, task, rule, params, num_steps=12))
    swarm = run(key)
    assert float(limit.density.sum()) == pytest.approx(1.0, abs=1e-4)
    np.testing.assert_allclose(limit.rewards, swarm.rewards, rtol=0.08)


@pytest.mark.slow
def test_ppo_trains_the_upper_level_without_recompiling(key):
    """Rewards improve; another noise level and step size need no new program."""
    task = collective.kuramoto_task(8, params=HeadingTaskParams(width=0.6))
    rule = collective.kernel_rule(task, points=3)
    env = collective.MeanFieldControl(task, rule, time_limit=10)
    network = rl.network_for(env, widths=(16,), initial_std=0.5)
    learner = rl.ppo(env, network, num_envs=8, num_steps=10, epochs=4)
    traces = []

    @jax.jit
    def train(key, env_params, hp):
        traces.append(None)
        params = rl.initialize(key, network, 1, shared=True)
        state = learner.init(params, key, env_params)
        _, records = rollout(learner.step, state, 60, key=key, inputs=hp)
        return records.info.reward

    hp = rl.PPOHyperparameters(lr=5e-3, gae_lambda=0.3, discount=0.95)
    reward = np.asarray(train(key, task.params, hp))
    assert reward[-10:].mean() > reward[:10].mean() + 0.1
    train(key, task.params._replace(noise=0.2), hp._replace(lr=1e-3))
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: collective.kernel_rule(TASK, bandwidth=0.0),
            "bandwidth: expected a finite number > 0",
        ),
        (
            lambda: collective.kernel_rule(TASK, points=1),
            "points: expected a whole number of at least 2",
        ),
        (lambda: collective.histogram_rule(TASK, std_range=(0.5, 0.1)), "std_range: expected"),
        (
            lambda: collective.execute(
                jax.random.key(0), TASK, collective.kernel_rule(TASK), jnp.zeros(7), num_steps=2
            ),
            "rule_params: expected a last axis of 50",
        ),
        (
            lambda: collective.execute(
                jax.random.key(0), TASK, collective.kernel_rule(TASK), jnp.zeros(50)
            ),
            "num_steps: expected at least 1",
        ),
        (
            lambda: collective.kuramoto_limit(
                collective.kernel_rule(TASK), jnp.zeros((3, 50)), 4, HeadingTaskParams()
            ),
            "rule_params: expected 4 rules, got 3",
        ),
        (
            lambda: collective.convergence(
                jax.random.key(0),
                collective.kuramoto_task,
                collective.kernel_rule(TASK),
                jnp.zeros(50),
                (),
                4,
            ),
            "sizes: expected at least one",
        ),
    ],
)
def test_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_actions_of_another_shape_are_refused(key):
    env = ENVIRONMENTS["swarm"](5)
    state, _ = jax.jit(env.reset)(key)
    with pytest.raises(ValueError, match="action: expected shape"):
        env.step(state, jnp.zeros((4, 1)))


def test_convergence_warns_of_rules_that_jump(key):
    rule = collective.histogram_rule(TASK, points=2)
    idle = lambda program: lambda keys: jnp.zeros(len(keys))  # noqa: E731
    with pytest.warns(UserWarning, match="Lipschitz"):
        found = collective.convergence(
            key, lambda n: TASK, rule, rule.params_of(turning), (6,), 2, num_steps=2, jit=idle
        )
    assert found[6].shape == (2,)
