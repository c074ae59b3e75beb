"""Supervised fine-tuning on demonstrations, possibly noisy ones, up to a wanted pass rate.

Shapes: ``M`` questions with demonstrations, ``B`` of a batch.
"""

import dataclasses
import functools
import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm import checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.data import verifiable
from jaxswarm.language._base_models import BaseModels, program_hash
from jaxswarm.language._rewards import pass_rate
from jaxswarm.models.transformer import LanguageModel, check_model, completion_log_probs
from jaxswarm.types import Key, Params, PyTree


class SFTState(NamedTuple):
    """State of :func:`sft`.

    Attributes:
        params: of one agent.
        opt_state: the optimizer's state.
    """

    params: Params
    opt_state: PyTree


class SFTInfo(NamedTuple):
    """Measurements of one step of :func:`sft`.

    Attributes:
        loss: ``float32[]``, in nats per token.
        grad_norm: ``float32[]``.
    """

    loss: jax.Array
    grad_norm: jax.Array


class FineTuned(NamedTuple):
    """Result of :func:`fine_tune`.

    Attributes:
        params: at the first check that reached the wanted pass rate, else the last ones.
        pass_rates: ``float64[checks]`` on the validation questions, the first before training.
        num_steps: gradient steps done.
        reached: whether the wanted pass rate was reached.
    """

    params: Params
    pass_rates: np.ndarray
    num_steps: int
    reached: bool


def sft_loss(model: LanguageModel, params: Params, problems: verifiable.Problems) -> jax.Array:
    """Mean negative log-probability of the tokens of demonstrations, prompts left out.

    Args:
        model: of one agent.
        params: its parameters.
        problems: questions with demonstrations as their solutions.

    Returns:
        Nats per token, a scalar.

    Raises:
        ValueError: for arguments of another kind.
    """
    checks.instance("problems", problems, verifiable.Problems, "verifiable.to_arrays(items, …)")
    found = completion_log_probs(
        model,
        params,
        problems.prompts,
        problems.prompt_mask,
        problems.solutions,
        problems.solution_mask,
    )
    return -jnp.sum(found) / jnp.maximum(jnp.sum(problems.solution_mask), 1)


def sft(
    model: LanguageModel, optimizer: optax.GradientTransformation, *, batch_size: int = 64
) -> Algorithm:
    """Supervised fine-tuning of one agent's language model.

    ``init(params) -> SFTState``; ``step(key, state, problems) -> (SFTState, SFTInfo)`` draws a
    batch of the ``M`` demonstrations with replacement. For many agents see :func:`independent`.

    Args:
        model: of one agent.
        optimizer: an optax optimizer.
        batch_size: ``B >= 1``.

    Raises:
        ValueError: for arguments of another kind or out of range.

    Example:
        >>> import jax, optax
        >>> from jaxswarm import language
        >>> from jaxswarm.data import verifiable
        >>> from jaxswarm.models import transformer
        >>> items = verifiable.draw_items(verifiable.chain_sums(2), 32, seed=0)
        >>> problems = verifiable.to_arrays(items, verifiable.tokenizer())
        >>> model = transformer.from_config(transformer.Config(35, width=8))
        >>> learner = language.sft(model, optax.adam(1e-2), batch_size=8)
        >>> state = learner.init(model.init(jax.random.key(0)))
        >>> state, info = learner.step(jax.random.key(1), state, problems)
        >>> bool(3 < info.loss < 4)  # about log 35: nothing is known yet
        True
    """
    check_model(model)
    checks.instance("optimizer", optimizer, optax.GradientTransformation, "optax.adam(1e-3)")
    batch_size = checks.whole("batch_size", batch_size, 1)

    def init(params: Params) -> SFTState:
        return SFTState(params, optimizer.init(params))

    def step(key: Key, state: SFTState, problems: verifiable.Problems) -> tuple[SFTState, SFTInfo]:
        checks.instance("problems", problems, verifiable.Problems, "verifiable.to_arrays(…)")
        count = jnp.shape(problems.prompts)[0]
        rows = jax.random.randint(checks.key(key), (batch_size,), 0, count)
        batch = jax.tree.map(lambda x: jnp.asarray(x)[rows], problems)
        loss, grads = jax.value_and_grad(lambda p: sft_loss(model, p, batch))(state.params)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return SFTState(params, opt_state), SFTInfo(loss, optax.tree.norm(grads))

    return Algorithm(init, step)


def fine_tune(
    key: Key,
    model: LanguageModel,
    params: Params,
    demonstrations: verifiable.Problems,
    validation: verifiable.Problems,
    *,
    target: float,
    separator: int,
    max_new_tokens: int,
    optimizer: optax.GradientTransformation | None = None,
    batch_size: int = 64,
    steps_per_check: int = 50,
    max_steps: int = 2000,
    num_samples: int = 8,
    cache: str | os.PathLike[str] | None = None,
) -> FineTuned:
    r"""Fine-tune a model on demonstrations until it reaches a wanted pass rate; runs on the host.

    The pass rate that training can reach is bounded by the share of right demonstrations, see
    :func:`jaxswarm.data.verifiable.with_mistakes`.

    Args:
        key: consumed.
        model: of one agent.
        params: to start from.
        demonstrations: to learn from.
        validation: other questions, on which the pass rate is measured at temperature 1.
        target: wanted pass rate in ``(0, 1)``.
        separator: token of the newline between steps.
        max_new_tokens: of a response.
        optimizer: Adam with step size 3e-3 if ``None``.
        batch_size: demonstrations of a step.
        steps_per_check: gradient steps between two measurements; few come close to the target.
        max_steps: after which it gives up.
        num_samples: responses to each validation question.
        cache: folder in which results are kept; none if ``None``. Each has a subfolder of its own,
            named by a hash of everything that it depends on: the traced program (so the model and
            the optimizer, whatever they close over), parameters, data, key, sizes, jax's version
            and flags. An equal call reads it instead of training; a damaged one is built anew, with
            a :class:`jaxswarm.checkpoint.CheckpointWarning`; one that another process is building
            now is built here as well, and not kept.

    Raises:
        ValueError: for arguments of another kind or out of range, or a cache that is no folder.

    Example:
        >>> import tempfile, jax
        >>> from jaxswarm import language
        >>> from jaxswarm.data import verifiable
        >>> from jaxswarm.models import transformer
        >>> tokens = verifiable.tokenizer()
        >>> items = verifiable.draw_items(verifiable.reverse_comparison(2), 24, seed=0)
        >>> right, held_out = items[:16], verifiable.to_arrays(items[16:], tokens)
        >>> noisy = verifiable.to_arrays(verifiable.with_mistakes(right, 0.2, seed=1)[0], tokens)
        >>> model = transformer.from_config(transformer.Config(tokens.vocab_size, width=8))
        >>> folder = tempfile.TemporaryDirectory()
        >>> found = language.fine_tune(
        ...     jax.random.key(0),
        ...     model,
        ...     model.init(jax.random.key(1)),
        ...     noisy,
        ...     held_out,
        ...     target=0.1,
        ...     separator=tokens.token("\n"),
        ...     max_new_tokens=2,
        ...     steps_per_check=10,
        ...     max_steps=20,
        ...     cache=folder.name,
        ... )
        >>> len(found.pass_rates) == 1 + found.num_steps // 10
        True
        >>> folder.cleanup()
    """
    checks.key(key)
    target = float(checks.real("target", target, above=0.0, below=1.0))
    steps_per_check = checks.whole("steps_per_check", steps_per_check, 1)
    max_steps = checks.whole("max_steps", max_steps, 0)
    separator = checks.whole("separator", separator)
    for name, value in (("demonstrations", demonstrations), ("validation", validation)):
        checks.instance(name, value, verifiable.Problems, "verifiable.to_arrays(items, …)")
    sizes = {
        "batch_size": checks.whole("batch_size", batch_size, 1),
        "steps_per_check": steps_per_check,
        "separator": separator,
        "max_new_tokens": checks.whole("max_new_tokens", max_new_tokens, 1),
        "num_samples": checks.whole("num_samples", num_samples, 1),
    }
    programs = _programs(check_model(model), optimizer or _ADAM, **sizes)
    params = jax.tree.map(jnp.asarray, params)
    demonstrations, validation = jax.tree.map(jnp.asarray, (demonstrations, validation))

    def build() -> FineTuned:
        return _train_to_target(
            key, programs, params, demonstrations, validation, target, steps_per_check, max_steps
        )

    if cache is None:
        return build()
    state = programs.learner.init(params)
    hashes = (
        program_hash(programs.train, key, state, demonstrations),
        program_hash(programs.measure, key, params, validation),
    )
    described = {} if model.config is None else dataclasses.asdict(model.config)
    store = BaseModels(
        cache,
        key=key,
        inputs=(params, demonstrations, validation),
        config={
            "model": described,
            "target": target,
            "max_steps": max_steps,
            "program": hashes,
            **sizes,
        },
    )
    found = store.load(params)
    if found is None:
        built = build()
        store.save(built.params, built.pass_rates, built.num_steps, built.reached)
        return built
    return FineTuned(*found)


_ADAM = optax.adam(3e-3)


class _Programs(NamedTuple):
    learner: Algorithm
    train: Any  # (key, SFTState, demonstrations) -> SFTState, plain functions
    measure: Any  # (key, params, validation) -> pass rate
    compiled_train: Any
    compiled_measure: Any


@functools.lru_cache(maxsize=16)
def _programs(
    model: LanguageModel,
    optimizer: optax.GradientTransformation,
    *,
    batch_size: int,
    steps_per_check: int,
    separator: int,
    max_new_tokens: int,
    num_samples: int,
) -> _Programs:
    """Training between two checks and the check, compiled once for equal models and sizes."""
    learner = sft(model, optimizer, batch_size=batch_size)

    def train(key: Key, state: SFTState, data: verifiable.Problems) -> SFTState:
        def one(state: SFTState, key: Key) -> tuple[SFTState, None]:
            return learner.step(key, state, data)[0], None

        return jax.lax.scan(one, state, jax.random.split(key, steps_per_check))[0]

    def measure(key: Key, params: Params, data: verifiable.Problems) -> jax.Array:
        return pass_rate(
            key,
            model,
            params,
            data,
            separator=separator,
            max_new_tokens=max_new_tokens,
            num_samples=num_samples,
        )

    return _Programs(learner, train, measure, jax.jit(train), jax.jit(measure))


def _train_to_target(
    key: Key,
    programs: _Programs,
    params: Params,
    demonstrations: verifiable.Problems,
    validation: verifiable.Problems,
    target: float,
    steps_per_check: int,
    max_steps: int,
) -> FineTuned:
    state, steps = programs.learner.init(params), 0
    rates = [float(programs.compiled_measure(jax.random.fold_in(key, 0), params, validation))]
    while rates[-1] < target and steps < max_steps:
        train_key, key_of_check = jax.random.split(jax.random.fold_in(key, len(rates)))
        state = programs.compiled_train(train_key, state, demonstrations)
        steps += steps_per_check
        rates.append(float(programs.compiled_measure(key_of_check, state.params, validation)))
    return FineTuned(state.params, np.asarray(rates), steps, rates[-1] >= target)
