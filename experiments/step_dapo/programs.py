"""Compiled programs of the step-DAPO experiment, shared by seeds, grids and controls.

Shapes: as in :mod:`jaxswarm.language`; ``Q`` questions, ``R`` rows of each, ``K`` steps.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from experiments.harness.compile import jit_fast_compile
from experiments.step_dapo.config import Config
from experiments.step_dapo.world import NEWLINE, policy, response_length, reward
from jaxswarm import language


class Programs(NamedTuple):
    """Functions of one seed.

    Attributes:
        fine_tune: ``(key, demonstrations) -> params`` of the reference policy.
        sample: ``(key, params, problems) -> StepRollouts``.
        respond: ``(key, params, problems, budget) -> (Rollouts, tokens)`` within a budget.
        sample_part: the same with the share of responses of one of several iterations, each twice.
        critic: ``(key, params, rollouts) -> (params, losses)`` of a critic.
        values: ``(critic params, rollouts) -> [Q, R, K]`` in ``[0, 1]``.
        shuffle: ``(key, values, rollouts) -> [Q, R, K]``.
        oracle: ``(problems, rollouts) -> [Q, R, K]``.
        monte_carlo: ``(rollouts) -> [Q, R, K]``.
        step_dapo: ``(key, params, values, rollouts, updates, beta, step size) -> params``.
        partition: the same with fitted log-partition.
        log_partition: ``(values, rollouts, beta) -> []``, mean over states of several steps of the
            logarithm of the mean of ``exp(A / β)`` over these steps.
        response: ``(key, params, rollouts, beta, step size) -> params``.
        dpo: the same.
        ppo: ``(key, params, problems, budget, step size) -> (PPOState, tokens)``.
        accuracy: ``(key, params, problems) -> []``, pass rate at temperature 1.
        audit: ``(key, params, problems) -> StepRollouts`` with many completions of each state.
        outputs: ``(critic params, rollouts) -> [Q, R, K]``, the plain output of a value head.
    """

    fine_tune: Callable[..., Any]
    sample: Callable[..., Any]
    sample_part: Callable[..., Any]
    respond: Callable[..., Any]
    critic: Callable[..., Any]
    values: Callable[..., Any]
    shuffle: Callable[..., Any]
    oracle: Callable[..., Any]
    monte_carlo: Callable[..., Any]
    step_dapo: Callable[..., Any]
    partition: Callable[..., Any]
    log_partition: Callable[..., Any]
    response: Callable[..., Any]
    dpo: Callable[..., Any]
    ppo: Callable[..., Any]
    accuracy: Callable[..., Any]
    audit: Callable[..., Any]
    outputs: Callable[..., Any]


def build(config: Config) -> Programs:
    """Make the programs of a configuration; each compiles once."""
    model, length = policy(config), response_length(config)
    steps = config.terms - 1
    adam = optax.adam(config.critic_lr)
    frozen = language.Critic(language.with_value_head(model), {}, jnp.zeros(0))

    def fine_tune(key: jax.Array, demonstrations: Any) -> Any:
        init_key, key = jax.random.split(key)
        learner = language.sft(model, optax.adam(config.sft_lr), batch_size=config.sft_batch)
        state = learner.init(model.init(init_key))
        return _scan(learner.step, state, key, config.sft_steps, demonstrations).params

    def sample(key: jax.Array, params: Any, problems: Any) -> language.StepRollouts:
        return _sample(key, params, problems, config.samples, config.completions)

    def sample_part(key: jax.Array, params: Any, problems: Any) -> language.StepRollouts:
        samples = config.samples // config.iterations
        found = _sample(key, params, problems, samples, config.completions)
        copies = config.iterations  # equal shapes, so that all iterations share programs
        tokens = jax.tree.map(lambda x: jnp.concatenate([x] * copies, axis=1), found)
        return tokens._replace(prompts=found.prompts, prompt_mask=found.prompt_mask)

    def audit(key: jax.Array, params: Any, problems: Any) -> language.StepRollouts:
        return _sample(key, params, problems, 2, config.audit_completions)

    def _sample(
        key: jax.Array, params: Any, problems: Any, samples: int, completions: int
    ) -> language.StepRollouts:
        return language.sample_steps(
            key, model, params, problems, reward, separator=NEWLINE, num_steps=steps,
            num_samples=samples, num_completions=completions, max_new_tokens=length,
        )  # fmt: skip

    def respond(key: jax.Array, params: Any, problems: Any, budget: jax.Array) -> Any:
        rollouts, rewards, completions = language.sample_rollouts(
            key, model, params, problems, reward, num_samples=config.responses,
            max_new_tokens=length,
        )  # fmt: skip
        spent = jnp.cumsum(completions.lengths.T.ravel()).reshape(rewards.shape[::-1]).T
        kept = spent <= budget
        mask = rollouts.mask & kept[..., None]
        advantages = language.group_advantages(rewards, kept, normalize=False)
        return rollouts._replace(mask=mask, advantages=advantages), jnp.sum(mask)

    def critic(key: jax.Array, params: Any, rollouts: language.StepRollouts) -> Any:
        fitted = language.fit_critic(
            key, model, params, language.response_rows(rollouts), adam,
            num_updates=config.critic_updates, batch_size=config.batch,
        )  # fmt: skip
        return fitted.params, fitted.losses

    def values(critic_params: Any, rollouts: language.StepRollouts) -> jax.Array:
        return frozen._replace(params=critic_params)(rollouts)

    def outputs(critic_params: Any, rollouts: language.StepRollouts) -> jax.Array:
        return language.step_outputs(frozen.model, critic_params, rollouts)

    def shuffle(key: jax.Array, values: jax.Array, rollouts: language.StepRollouts) -> jax.Array:
        return language.shuffled_critic(key, lambda _: values)(rollouts)

    def oracle(problems: Any, rollouts: language.StepRollouts) -> jax.Array:
        return language.oracle_critic(problems, rollouts)(rollouts)

    def step_dapo(
        key: jax.Array,
        params: Any,
        values: jax.Array,
        rollouts: language.StepRollouts,
        updates: jax.Array,
        beta: jax.Array,
        lr: jax.Array,
    ) -> Any:
        valued = language.response_rows(rollouts._replace(values=values), config.group)
        learner = language.step_dapo(
            model, lambda _: valued.values, optax.adam(lr), beta=beta,
            batch_size=config.batch // config.group,
        )  # fmt: skip
        rows = language.response_rows(rollouts, config.group)
        state = learner.init(params, rows)
        keys = jax.random.split(key, config.updates)
        return jax.lax.fori_loop(
            0, updates, lambda i, x: learner.step(keys[i], x, None)[0], state
        ).params

    def partition(
        key: jax.Array,
        params: Any,
        values: jax.Array,
        rollouts: language.StepRollouts,
        updates: jax.Array,
        beta: jax.Array,
        lr: jax.Array,
    ) -> Any:
        del updates
        learner = language.step_dapo(
            model, lambda _: values, optax.adam(lr), beta=beta,
            batch_size=config.partition_batch, log_partition="fitted",
        )  # fmt: skip
        return _scan(learner.step, learner.init(params, rollouts), key, config.updates).params

    def log_partition(
        values: jax.Array, rollouts: language.StepRollouts, beta: jax.Array
    ) -> jax.Array:
        found = language.step_advantages(values, rollouts.rewards, rollouts.states) / beta
        ids, kept = language.state_ids(rollouts), rollouts.sampled_steps

        def over(reduce: Any, x: jax.Array, nothing: float) -> jax.Array:
            return reduce(jnp.ravel(jnp.where(kept, x, nothing)), jnp.ravel(ids), ids.size)

        size = over(jax.ops.segment_sum, jnp.ones_like(found), 0.0)
        top = jnp.where(size > 1, over(jax.ops.segment_max, found, -jnp.inf), 0.0)
        total = over(jax.ops.segment_sum, jnp.exp(found - top[ids]), 0.0)
        each = top + jnp.log(jnp.maximum(total, 1e-30) / jnp.maximum(size, 1.0))
        return jnp.sum(jnp.where(size > 1, each, 0.0)) / jnp.maximum(jnp.sum(size > 1), 1)

    def response(key: jax.Array, params: Any, rollouts: Any, beta: jax.Array, lr: jax.Array) -> Any:
        learner = language.response_quadratic(
            model, optax.adam(lr), beta=beta, batch_size=config.response_batch
        )
        return _scan(learner.step, learner.init(params, rollouts), key, config.updates).params

    def dpo(key: jax.Array, params: Any, rollouts: Any, beta: jax.Array, lr: jax.Array) -> Any:
        learner = language.dpo(model, optax.adam(lr), beta=beta, batch_size=config.response_batch)
        return _scan(learner.step, learner.init(params, rollouts), key, config.updates).params

    def ppo(key: jax.Array, params: Any, problems: Any, budget: jax.Array, lr: jax.Array) -> Any:
        learner = language.ppo(
            model, optax.adam(lr), reward, separator=NEWLINE, num_steps=steps,
            num_samples=config.ppo_samples, max_new_tokens=length, num_updates=config.ppo_updates,
        )  # fmt: skip
        count = problems.prompts.shape[0]

        def one(carry: tuple[Any, jax.Array], key: jax.Array) -> tuple[tuple[Any, jax.Array], None]:
            state, spent = carry
            row_key, key = jax.random.split(key)
            rows = jax.random.randint(row_key, (config.ppo_questions,), 0, count)
            new, info = learner.step(key, state, jax.tree.map(lambda x: x[rows], problems))
            total = spent + info.num_tokens
            fits = total <= budget
            state = jax.tree.map(lambda a, b: jnp.where(fits, a, b), new, state)
            return (state, jnp.where(fits, total, spent)), None

        start = (learner.init(params), jnp.zeros(()))
        return jax.lax.scan(one, start, jax.random.split(key, config.ppo_rounds))[0]

    def accuracy(key: jax.Array, params: Any, problems: Any) -> jax.Array:
        completions = language.generate(
            key, model, params, problems.prompts, problems.prompt_mask, max_new_tokens=length,
            num_samples=config.test_samples,
        )  # fmt: skip
        return jnp.mean(reward(problems, completions))

    made = (
        fine_tune, sample, sample_part, respond, critic, values, shuffle, oracle,
        language.monte_carlo_values, step_dapo, partition, log_partition, response, dpo, ppo,
        accuracy, audit, outputs,
    )  # fmt: skip
    return Programs(*map(jit_fast_compile, made))


def _scan(step: Any, state: Any, key: jax.Array, num_steps: int, inputs: Any = None) -> Any:
    """The state after gradient steps with fresh keys."""

    def one(state: Any, key: jax.Array) -> tuple[Any, None]:
        return step(key, state, inputs)[0], None

    return jax.lax.scan(one, state, jax.random.split(key, num_steps))[0]
