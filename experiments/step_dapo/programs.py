"""Compiled programs of the step-DAPO experiment: one to train, one to sample, one to score.

Supervised fine-tuning, critics and all methods train by one program with the loss as a traced
switch; all sample, and are scored, by one program each, in batches of one shape.

Shapes: ``U`` batches, ``B`` questions of a batch, ``r`` rows of each, ``T`` tokens of a response,
``P`` of a question, ``K`` steps of a response.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from experiments.harness.compile import jit_fast_compile
from experiments.step_dapo.config import Config
from experiments.step_dapo.world import policy, response_length
from jaxswarm import language
from jaxswarm.data import verifiable
from jaxswarm.models import transformer
from jaxswarm.types import Params, PyTree

LOSSES = ("sft", "critic", "step", "partition", "response", "dpo", "ppo", "ppo_critic")
"""Names of the losses, in the order of the switch."""

PPO_CLIP = 0.2
BLOCK = 50
"""Batches that are passed to the training program at a time."""


class Batch(NamedTuple):
    """Rows of one batch; with a leading axis ``[U]`` those of several.

    Attributes:
        prompts: ``int[B, P]``.
        prompt_mask: ``bool[B, P]``.
        tokens: ``int[B, r, T]``.
        mask: ``bool[B, r, T]``.
        steps: ``int[B, r, T]``, step of each token.
        reference: ``float[B, r, T]``, log-probability of the tokens under the reference policy, or
            under the policy that sampled them.
        targets: ``float[B, r, K]``, advantage of each step, value of the state before it, or in the
            first entry the advantage of the response.
        weights: ``float[B, r, K]``, what counts; by the completions of which a value is the mean.
        states: ``int[B, r, K]``, number of the state before each step.
    """

    prompts: Any
    prompt_mask: Any
    tokens: Any
    mask: Any
    steps: Any
    reference: Any
    targets: Any
    weights: Any
    states: Any


class Programs(NamedTuple):
    """Compiled functions, the same for all seeds.

    Attributes:
        init: ``(key) -> params``.
        train: ``(params, opt_state, batches, order, count, loss, β, step size) -> (params,
            opt_state, mean loss)`` after ``count`` gradient steps, the ``i``-th on batch
            ``order[i]``.
        generate: ``(key, params, contexts [B r, P + T], mask) -> Completions``, one of each.
        score: ``(params, prompts, prompt_mask, tokens [B, r, T], mask) -> (log-probabilities,
            values)``, each ``[B, r, T]``.
        credit: ``(keys, critic values, problems, rollouts) -> dict`` of advantages by arm.
        advantages: ``(values, rewards, states, λ) -> [..., K]``.
    """

    init: Callable[..., Any]
    train: Callable[..., Any]
    generate: Callable[..., Any]
    score: Callable[..., Any]
    credit: Callable[..., Any]
    advantages: Callable[..., Any]


def build(config: Config) -> Programs:
    """Make the programs of a configuration; each compiles once."""
    model, length, steps = policy(config), response_length(config), config.terms - 1

    def train(
        params: Params,
        opt_state: PyTree,
        batches: Batch,
        order: jax.Array,
        count: jax.Array,
        loss: jax.Array,
        beta: jax.Array,
        lr: jax.Array,
    ) -> tuple[Params, PyTree, jax.Array]:
        optimizer = optax.adam(lr)

        def update(i: jax.Array, carry: Any) -> Any:
            params, opt_state, total = carry
            batch = jax.tree.map(lambda x: x[order[i]], batches)
            found, grads = jax.value_and_grad(
                lambda p: batch_loss(model, steps, p, batch, loss, beta)
            )(params)
            changes, opt_state = optimizer.update(grads, opt_state, params)
            return optax.apply_updates(params, changes), opt_state, total + found

        params, opt_state, total = jax.lax.fori_loop(
            0, count, update, (params, opt_state, jnp.zeros(()))
        )
        return params, opt_state, total / count

    def generate(key: jax.Array, params: Params, contexts: jax.Array, mask: jax.Array) -> Any:
        return transformer.generate(key, model, params, contexts, mask, max_new_tokens=length)

    def score(
        params: Params, prompts: jax.Array, prompt_mask: jax.Array, tokens: jax.Array, mask: Any
    ) -> tuple[jax.Array, jax.Array]:
        outputs = transformer.completion_outputs(model, params, prompts, prompt_mask, tokens, mask)
        assert outputs.values is not None
        found = transformer.token_log_probs(outputs.logits, jnp.where(mask, tokens, 0))
        return jnp.where(mask, found, 0.0), outputs.values

    level = config.compile_level
    return Programs(
        jit_fast_compile(model.init, level=0),
        *(jit_fast_compile(each, level=level) for each in (train, generate, score)),
        *(jit_fast_compile(each, level=0) for each in (_credit, _advantages)),
    )


def batch_loss(
    model: transformer.LanguageModel,
    num_steps: int,
    params: Params,
    batch: Batch,
    loss: jax.Array,
    beta: jax.Array,
) -> jax.Array:
    """Loss of one batch by its number in ``LOSSES``; all share the pass through the network."""
    outputs = transformer.completion_outputs(
        model, params, batch.prompts, batch.prompt_mask, batch.tokens, batch.mask
    )
    assert outputs.values is not None
    found = transformer.token_log_probs(outputs.logits, jnp.where(batch.mask, batch.tokens, 0))
    found = jnp.where(batch.mask, found, 0.0)
    cut = (batch.steps, num_steps, batch.mask)
    own = transformer.step_log_probs(found, *cut)
    reference = transformer.step_log_probs(batch.reference, *cut)
    members = batch.mask[..., None, :] & (
        batch.steps[..., None, :] == jnp.arange(num_steps)[None, None, :, None]
    )
    starts = members & (jnp.cumsum(members, axis=-1) == 1)
    values = jnp.sum(jnp.where(starts, outputs.values[..., None, :], 0.0), axis=-1)
    counts = batch.weights > 0
    targets = batch.targets

    def sft() -> jax.Array:
        return -jnp.sum(found) / jnp.maximum(jnp.sum(batch.mask), 1)

    def critic() -> jax.Array:
        return language.value_loss(values, targets, batch.weights)

    def step(states: jax.Array | None = None) -> jax.Array:
        return language.step_quadratic_loss(
            own, reference, targets, counts, beta=beta, states=states
        )

    def response() -> jax.Array:
        return language.response_quadratic_loss(own, reference, targets[..., 0], counts, beta=beta)

    def dpo() -> jax.Array:  # the first half of the rows is better than the other
        (better, worse), (base, other) = (
            (jnp.ravel(y) for y in jnp.split(jnp.sum(x, axis=-1), 2, axis=1))
            for x in (own, reference)
        )
        weight = jnp.ravel(jnp.split(batch.weights[..., 0], 2, axis=1)[0])
        return language.dpo_loss(better, worse, base, other, beta=beta, weight=weight)

    def ppo() -> jax.Array:
        by_token = jnp.take_along_axis(targets, batch.steps, axis=-1)
        return language.grpo_loss(
            found, by_token, batch.mask, old_log_probs=batch.reference,
            clip_low=PPO_CLIP, clip_high=PPO_CLIP,
        ).loss  # fmt: skip

    def ppo_critic() -> jax.Array:
        gap = jnp.where(counts, values - targets, 0.0)
        return 0.5 * jnp.sum(jnp.square(gap)) / jnp.maximum(jnp.sum(counts), 1)

    made = (sft, critic, step, lambda: step(batch.states), response, dpo, ppo, ppo_critic)
    return jax.lax.switch(loss, made)


def _advantages(
    values: jax.Array, rewards: jax.Array, states: jax.Array, gae_lambda: jax.Array
) -> jax.Array:
    return language.step_advantages(values, rewards, states, gae_lambda=gae_lambda)


def _credit(
    keys: jax.Array,
    values: jax.Array,
    beta: jax.Array,
    problems: verifiable.Problems,
    rollouts: language.StepRollouts,
) -> dict[str, Any]:
    """Values of all arms and the advantages that they give, ``[Q, R, K]`` each.

    Also ``states``, numbers of states, and ``log_partition``, the mean over states of several steps
    of the logarithm of the mean of ``exp(A / β)`` over these steps.
    """
    rewards, states = rollouts.rewards, rollouts.states

    def shuffle(key: jax.Array, values: jax.Array) -> jax.Array:
        return language.shuffled_critic(key, lambda _: values)(rollouts)

    shuffled = shuffle(keys[0], values)
    permuted = shuffle(keys[1], jnp.broadcast_to(rewards[..., None], values.shape))[..., 0]
    oracle = language.oracle_critic(problems, rollouts)(rollouts)
    monte_carlo = language.monte_carlo_values(rollouts)
    found = {
        "step_dapo": (values, rewards),
        "monte_carlo": (monte_carlo, rewards),
        "shuffled": (shuffled, rewards),
        "uninformed": (shuffled, permuted),
        "oracle": (oracle, rewards),
    }
    advantages = {name: language.step_advantages(v, r, states) for name, (v, r) in found.items()}
    ids, kept = language.state_ids(rollouts), rollouts.sampled_steps

    def over(reduce: Any, x: jax.Array, nothing: float) -> jax.Array:
        return reduce(jnp.ravel(jnp.where(kept, x, nothing)), jnp.ravel(ids), ids.size)

    scaled = advantages["step_dapo"] / beta
    size = over(jax.ops.segment_sum, jnp.ones_like(scaled), 0.0)
    top = jnp.where(size > 1, over(jax.ops.segment_max, scaled, -jnp.inf), 0.0)
    total = over(jax.ops.segment_sum, jnp.exp(scaled - top[ids]), 0.0)
    each = top + jnp.log(jnp.maximum(total, 1e-30) / jnp.maximum(size, 1.0))
    mean = jnp.sum(jnp.where(size > 1, each, 0.0)) / jnp.maximum(jnp.sum(size > 1), 1)
    return {"advantages": advantages, "states": ids, "oracle": oracle, "log_partition": mean}
