"""Language: greedy and beam decoding in several profiles against sampling without a shared seed.

Transformers are fine-tuned for a short while to reverse letters, so that they are unsure of many
tokens: a model without doubts would agree with itself even when it samples.

Shapes: ``S`` trainings, ``B`` prompts, ``T`` tokens.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.generative_consensus.config import Config
from experiments.harness.compile import jit_fast_compile
from jaxswarm import language
from jaxswarm.data import tokenizers, verifiable
from jaxswarm.models import transformer
from jaxswarm.trust import consensus, profiles
from jaxswarm.types import Params

GREEDY, BEAM, SAMPLED = "greedy", "beam", "sampled"
GREEDY_PROFILES = ("float32", "batch 1", "batch 7", "bfloat16", "float16")
BEAM_PROFILES = ("float32", "batch 7", "bfloat16")
FLOAT32 = ("float32", "batch 1", "batch 7", "op by op")
DEMONSTRATIONS = 2_048
LEARNING_RATE = 3e-3


def run_language(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Train, decode in all profiles, and compare with the reference.

    Returns:
        ``agreement {decoder: {profile: [S]}}``, share of prompts with the reference's tokens;
        ``sampled [S]``, agreement of two nodes that sample with seeds of their own; ``right [S]``,
        share of right greedy answers; ``failures {profile: float[F, 4]}``, greedy answers in half
        precision that differ: training, prompt, position, top-2 logit margin of the reference
        there; ``margins [3]``, quantiles .01, .1 and .5 of that margin over all tokens.
    """
    progress("language: training")
    tokens = verifiable.tokenizer()
    length = config.letters + 2
    items = verifiable.draw_items(
        verifiable.reversal(config.letters), DEMONSTRATIONS + config.prompts, config.seed
    )
    shown, asked = (
        verifiable.to_arrays(rows, tokens, prompt_length=length, solution_length=length - 1)
        for rows in (items[:DEMONSTRATIONS], items[DEMONSTRATIONS:])
    )
    models = {
        dtype: transformer.from_config(
            transformer.sized(config.lm_size, tokens.vocab_size, dtype=dtype)
        )
        for dtype in profiles.DTYPES
    }
    keys = jax.random.split(jax.random.key(config.seed + 7), config.lm_seeds)
    trained = _train(config, models["float32"], shown, keys)
    inputs = {"tokens": np.asarray(asked.prompts), "mask": np.asarray(asked.prompt_mask)}
    decoders = {
        (name, dtype): _decoder(config, name, model, length - 1)
        for name in (GREEDY, BEAM)
        for dtype, model in models.items()
    }
    available = profiles.available()
    agreement: dict[str, Any] = {
        GREEDY: {name: [] for name in (*GREEDY_PROFILES, *config.lm_profiles)},
        BEAM: {name: [] for name in BEAM_PROFILES},
    }
    failures: dict[str, list[np.ndarray]] = {"bfloat16": [], "float16": []}
    sampled, right, margins = [], [], []
    sample = _sampler(models["float32"], length - 1)
    logits_of = _logits(models["float32"])
    for s, params in enumerate(trained):
        progress(f"language: decoding {s + 1} of {len(trained)}")
        for name, rows in agreement.items():
            own = {
                profile: profiles.run(
                    decoders[name, available[profile].dtype], params, inputs, available[profile]
                )
                for profile in rows
            }
            reference = own["float32"]
            logits = logits_of(params, inputs, reference) if name == GREEDY else None
            for profile, found in own.items():
                same = consensus.agree(reference, found, stop=tokenizers.END, logits=logits)
                rows[profile].append(float(np.mean(same.equal)))
                if name == GREEDY and profile in failures:
                    failures[profile].append(_failures(s, same))
            if logits is not None:
                right.append(_share_right(reference, np.asarray(asked.solutions)))
                margins.append(_margins(np.asarray(logits), reference))
        nodes = [sample(jax.random.key(config.seed + 100 * s + node), params, inputs)
                 for node in (1, 2)]  # fmt: skip
        same = consensus.agree(*nodes, stop=tokenizers.END)
        sampled.append(float(np.mean(same.equal)))
    return {
        "agreement": {
            name: {profile: np.array(x) for profile, x in rows.items()}
            for name, rows in agreement.items()
        },
        "sampled": np.array(sampled),
        "right": np.array(right),
        "failures": {name: np.concatenate(rows) for name, rows in failures.items()},
        "margins": np.quantile(np.concatenate(margins), (0.01, 0.1, 0.5)),
    }


def _train(
    config: Config, model: transformer.LanguageModel, shown: verifiable.Problems, keys: jax.Array
) -> list[Params]:
    learner = language.sft(model, optax.adam(LEARNING_RATE))
    problems = jax.tree.map(jnp.asarray, shown)

    @functools.partial(jit_fast_compile, level=0, plain=True)
    def fit(key: jax.Array) -> Params:
        init_key, run_key = jax.random.split(key)
        return jax.lax.fori_loop(
            0,
            config.lm_steps,
            lambda i, state: learner.step(jax.random.fold_in(run_key, i), state, problems)[0],
            learner.init(model.init(init_key)),
        ).params

    return [jax.block_until_ready(fit(key)) for key in keys]


def _decoder(
    config: Config, name: str, model: transformer.LanguageModel, length: int
) -> Callable[..., jax.Array]:
    """``fn(params, inputs) -> int32[B, T]`` of a deterministic decoder."""

    def greedy(params: Params, inputs: dict[str, jax.Array]) -> jax.Array:
        return transformer.generate(
            jax.random.key(0), model, params, inputs["tokens"], inputs["mask"],
            max_new_tokens=length, temperature=0.0,
        ).tokens  # fmt: skip

    def beam(params: Params, inputs: dict[str, jax.Array]) -> jax.Array:
        return transformer.beam_search(
            model, params, inputs["tokens"], inputs["mask"],
            max_new_tokens=length, num_beams=config.beams,
        ).tokens  # fmt: skip

    # At level 0 these compile in a fourth of the time, and run for less than that.
    return jit_fast_compile(greedy if name == GREEDY else beam, level=0, plain=True)


def _sampler(model: transformer.LanguageModel, length: int) -> Callable[..., jax.Array]:
    @functools.partial(jit_fast_compile, level=0, plain=True)
    def sample(key: jax.Array, params: Params, inputs: dict[str, jax.Array]) -> jax.Array:
        return transformer.generate(
            key, model, params, inputs["tokens"], inputs["mask"], max_new_tokens=length
        ).tokens

    return sample


def _logits(model: transformer.LanguageModel) -> Callable[..., jax.Array]:
    """``fn(params, inputs, completions) -> float32[B, T, V]``, logits that predict each token."""

    @functools.partial(jit_fast_compile, level=0, plain=True)
    def logits(params: Params, inputs: dict[str, jax.Array], completions: Any) -> jax.Array:
        return transformer.completion_outputs(
            model, params, inputs["tokens"], inputs["mask"], completions
        ).logits

    return logits


def _failures(training: int, same: consensus.Agreement) -> np.ndarray:
    """Prompts on which two nodes differ ``[F, 4]``: training, prompt, position, top-2 margin."""
    count = len(same.equal)
    columns = (np.full(count, training), np.arange(count), same.position, same.margin)
    rows = np.stack([np.asarray(x, np.float64) for x in columns], axis=1)
    return rows[~np.asarray(same.equal)]


def _share_right(found: np.ndarray, solutions: np.ndarray) -> float:
    same = consensus.agree(found, solutions, stop=tokenizers.END)
    return float(np.mean(same.equal))


def _margins(logits: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Top-2 margins of all tokens up to the end."""
    ends = tokens == tokenizers.END
    counts = np.cumsum(ends, axis=1) - ends == 0
    best = np.sort(logits, axis=-1)[..., -2:]
    return (best[..., 1] - best[..., 0])[counts]
