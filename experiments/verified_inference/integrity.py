"""Honest and tampered executions of quantized models, and what checking them costs.

Shapes: ``S`` seeds, ``L`` products of a model, ``R`` runs of one kind.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness.compile import jit_fast_compile
from experiments.verified_inference.config import Config
from experiments.verified_inference.splitting import Images, seed_keys
from jaxswarm.models import transformer
from jaxswarm.trust import verify
from jaxswarm.types import Key, Params

SMALL_PRIME = 251
LEVELS = 5  # brightnesses of a pixel; a token is a brightness at a position
SIDE = 4  # rows and columns of the image that the transformer reads
ELEMENT, TWO_ROWS, LAYER, SMALLER, WEIGHTS = (
    "one element by one",
    "two rows",
    "other layer",
    "smaller model",
    "other weights",
)
TAMPERINGS = (ELEMENT, TWO_ROWS, LAYER, SMALLER, WEIGHTS)
SHARED = 50  # runs with the same tampered element, each with its own image and challenges
FEW_BITS = 2  # of weights and activations at the small prime, whose field is narrow


def run(
    config: Config,
    images: Images,
    models: list[Params],
    smaller: list[Params],
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Train transformers, quantize all models, prove, tamper, check and count.

    Args:
        config: sizes of the run.
        images: of :func:`experiments.verified_inference.splitting.load`.
        models: perceptrons of all seeds, layers of ``kernel`` and ``bias``.
        smaller: smaller ones of the same shapes.
        progress: is called as each part begins.

    Returns:
        ``accuracy {model: {"float", "quantized": [S]}}``; ``honest [2]``, claims checked and
        accepted; ``tampered`` and ``tampered_small_prime {kind: [2]}``, runs whose products differ
        from the honest ones, and those of them that were accepted; ``multiply_adds int[W, B, 2]``,
        of the check and of the execution; ``seconds [3]``, of the check, the execution in integers
        and in ``float32``.
    """
    progress("transformers")
    tokens = pixel_tokens(images)
    network, trained = train_transformers(config, *tokens[:2])
    x, y = np.asarray(images.test_x), np.asarray(images.test_y)
    progress("honest claims")
    perceptrons = [quantized(model, images) for model in models]
    small = [quantized(model, images) for model in smaller]
    transformers = [
        verify.quantized_transformer(network.config, params, tokens[0][:64]) for params in trained
    ]
    accuracy = {
        "perceptron": {
            "float": np.array([np.mean(_logits(m, x).argmax(1) == y) for m in models]),
            "quantized": np.array(
                [np.mean(np.asarray(m(x)).argmax(1) == y) for m in perceptrons]
            ),
        },
        "transformer": {
            "float": _token_accuracy(jax.jit(lambda p, t: network.apply(p, t).logits), trained,
                                     tokens[2], y),
            "quantized": _token_accuracy(lambda m, t: m(t), transformers, tokens[2], y),
        },
    }  # fmt: skip
    honest = prove_honestly(config, perceptrons, x) + prove_honestly(
        config, transformers, tokens[2]
    )
    progress("tampered claims")
    rng = np.random.default_rng([config.seed, 8])
    tampered: dict[str, np.ndarray] = {}
    inputs = [np.asarray(m.inputs(x)) for m in perceptrons]
    kinds = [kind for kind in TAMPERINGS if kind != TWO_ROWS]
    share = -(-config.tampered // (len(kinds) * config.seeds))
    for kind in kinds:
        few = 0 if kind == SMALLER else share // 5  # a fifth are of transformers
        found = [
            tamper(config, rng, kind, perceptrons, small, s, inputs[s], share - few)
            for s in range(config.seeds)
        ]
        tampered[f"perceptron, {kind}"] = np.sum(found, axis=0)
        if few:
            found = [
                tamper(config, rng, kind, transformers, small, s, tokens[2], few)
                for s in range(config.seeds)
            ]
            tampered[f"transformer, {kind}"] = np.sum(found, axis=0)
    progress("tampered runs at a small prime")
    narrow = [quantized(model, images, FEW_BITS, skip=1) for model in models]
    narrow_small = [quantized(model, images, FEW_BITS, skip=1) for model in smaller]
    narrow_inputs = [
        np.asarray(narrow[s].inputs(hidden(models[s], x, 1))) for s in range(config.seeds)
    ]
    key = jax.random.fold_in(jax.random.key(config.seed), 6)
    rough: dict[str, np.ndarray] = {}
    for place, kind in enumerate(TAMPERINGS):
        count = config.tampered // config.seeds // (1 if kind == ELEMENT else 5)
        found = [
            tamper_in_small_field(
                jax.random.fold_in(key, 100 * place + s), rng, kind, narrow, narrow_small, s,
                narrow_inputs[s], count, config.tampered // config.seeds // 5,
            )
            for s in range(config.seeds)
        ]  # fmt: skip
        rough[kind] = np.sum(found, axis=0)
    return {
        "accuracy": accuracy,
        "honest": honest,
        "tampered": tampered,
        "tampered_small_prime": rough,
        "multiply_adds": count_multiply_adds(config),
        "seconds": measure_seconds(),
    }


def quantized(
    model: Params, images: Images, bits: int = 8, *, skip: int = 0
) -> verify.QuantizedModel:
    """Quantize a perceptron, or what follows its first ``skip`` layers."""
    x = np.concatenate([np.asarray(images.train_x), np.asarray(images.test_x)])
    x = hidden(model, x, skip)
    layers = [(np.asarray(layer["kernel"]), np.asarray(layer["bias"])) for layer in model[skip:]]
    return verify.quantize(layers, x, bits)


def hidden(model: Params, x: np.ndarray, count: int) -> np.ndarray:
    """Activation of a perceptron after its first ``count`` layers."""
    for layer in model[:count]:
        x = np.maximum(x @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"]), 0.0)
    return x


def _logits(model: Params, x: np.ndarray) -> np.ndarray:
    last = model[-1]
    return hidden(model, x, len(model) - 1) @ np.asarray(last["kernel"]) + np.asarray(last["bias"])


def pixel_tokens(images: Images) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens ``int32[…, 16]`` of training images, their labels, and tokens of test images."""

    def tokens(x: Any) -> np.ndarray:
        side = round(x.shape[1] ** 0.5)
        block = side // SIDE
        grid = np.asarray(x).reshape(-1, side, side)[:, : SIDE * block, : SIDE * block]
        means = grid.reshape(-1, SIDE, block, SIDE, block).mean(axis=(2, 4))
        brightness = np.rint(means * (LEVELS - 1)).astype(np.int32).reshape(-1, SIDE * SIDE)
        return brightness + LEVELS * np.arange(SIDE * SIDE, dtype=np.int32)

    return tokens(images.train_x), np.asarray(images.train_y), tokens(images.test_x)


def train_transformers(config: Config, tokens: np.ndarray, labels: np.ndarray) -> tuple[Any, Any]:
    """Two-layer transformers, one for each seed; the token after an image is its label."""
    network = transformer.from_config(
        transformer.Config(
            vocab_size=LEVELS * SIDE**2, width=config.transformer_width, num_layers=2
        )
    )
    optimizer = optax.adam(optax.cosine_decay_schedule(5e-3, config.transformer_steps))
    x, y = jnp.asarray(tokens), jnp.asarray(labels)

    def loss(params: Params, rows: jax.Array) -> jax.Array:
        logits = network.apply(params, x[rows]).logits[:, -1]
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, y[rows]))

    def train(key: Key) -> Params:
        start, draws = jax.random.split(key)
        params = network.init(start)

        def step(carry: Any, own: Key) -> tuple[Any, None]:
            params, state = carry
            rows = jax.random.randint(own, (config.batch // 2,), 0, len(x))
            updates, state = optimizer.update(jax.grad(loss)(params, rows), state)
            return (optax.apply_updates(params, updates), state), None

        keys = jax.random.split(draws, config.transformer_steps)
        return jax.lax.scan(step, (params, optimizer.init(params)), keys)[0][0]

    trained = jit_fast_compile(jax.vmap(train), level=1, plain=True)(seed_keys(config, 7))
    return network, [jax.tree.map(lambda leaf, s=s: leaf[s], trained) for s in range(config.seeds)]


def _token_accuracy(
    apply: Callable[..., Any], models: list[Any], tokens: np.ndarray, y: np.ndarray
) -> np.ndarray:
    found = [np.asarray(apply(model, tokens))[:, -1].argmax(1) for model in models]
    return np.array([np.mean(each == y) for each in found])


def prove_honestly(config: Config, models: list[Any], x: np.ndarray) -> np.ndarray:
    """Number of honest claims of one inference each that were made, and that were accepted."""
    made = accepted = 0
    for model in models:
        claims = [verify.prove(model, x[i % len(x)][None]) for i in range(config.claims)]
        made, accepted = made + len(claims), accepted + _accepted(config, model, claims)
    return np.array([made, accepted])


def _accepted(config: Config, model: Any, claims: list[verify.Claim]) -> int:
    """Number of claims that are accepted after a way as bytes; all batches have one size."""
    found = 0
    for start in range(0, len(claims), config.claims):
        batch = claims[start : start + config.claims]
        packets = [claim.to_bytes() for claim in batch]
        packets += packets[:1] * (config.claims - len(batch))
        found += sum(v.accepted for v in verify.check_batch(model, packets)[: len(batch)])
    return found


def tamper(
    config: Config, rng: np.random.Generator, kind: str, models: list[Any], smaller: list[Any],
    seed: int, inputs: np.ndarray, count: int,
) -> np.ndarray:  # fmt: skip
    """Commit to tampered executions of one kind and check the claims.

    Returns:
        ``int[2]``: claims whose products differ from the honest ones, and those accepted.
    """
    model, claims = models[seed], []
    for x, honest, claimed in _tampered(rng, kind, models, smaller, seed, inputs, count):
        if any((a != b).any() for a, b in zip(honest, claimed, strict=True)):
            claims.append(verify.commit(model, x, claimed))
    return np.array([len(claims), _accepted(config, model, claims)])


def tamper_in_small_field(
    key: Key, rng: np.random.Generator, kind: str, models: list[Any], smaller: list[Any],
    seed: int, inputs: np.ndarray, count: int, size: int,
) -> np.ndarray:  # fmt: skip
    """As :func:`tamper`, on arrays with uniform challenges of :data:`SMALL_PRIME`.

    Claims have two rows, so that errors can have rank 2: pairs of runs of one kind.
    """
    pairs = []
    for x, honest, claimed in _tampered(rng, kind, models, smaller, seed, inputs, 2 * count):
        pairs.append((x, honest, claimed))
    sizes = verify.plan(models[seed], (2, inputs.shape[1]))
    differ = accepted = 0
    for start in range(0, count, size):
        runs, wrong = [], []
        for i in range(start, min(start + size, count)):
            first, second = pairs[2 * i], pairs[2 * i + 1]
            # A single wrong element: the second row stays honest.
            other = second[1] if kind == ELEMENT else second[2]
            claimed = [np.concatenate(rows) for rows in zip(first[2], other, strict=True)]
            honest = [np.concatenate(rows) for rows in zip(first[1], second[1], strict=True)]
            runs.append((np.concatenate([first[0], second[0]]), tuple(claimed)))
            wrong.append(any((a != b).any() for a, b in zip(honest, claimed, strict=True)))
        padded = runs + runs[:1] * (size - len(runs))
        x, products = jax.tree.map(lambda *each: np.stack(each), *padded)
        keys = jax.random.split(jax.random.fold_in(key, start), len(sizes))
        drawn = tuple(
            verify.field.random(own, (size, 1, product.columns), SMALL_PRIME)
            for own, product in zip(keys, sizes, strict=True)
        )
        passed = np.asarray(_passes(models[seed], x, products, drawn))[: len(runs)]
        differ, accepted = differ + sum(wrong), accepted + int((passed & np.array(wrong)).sum())
    return np.array([differ, accepted])


@jax.jit
def _passes(model: Any, x: Any, products: Any, challenges: Any) -> jax.Array:
    def one(x: Any, products: Any, challenges: Any) -> jax.Array:
        _, right, fits = verify.check_products(model, x, products, challenges, SMALL_PRIME)
        return jnp.all(right) & jnp.all(fits)

    return jax.vmap(one)(x, products, challenges)


Run = tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]
"""Inputs of one row, the honest products and the claimed ones."""


def _tampered(
    rng: np.random.Generator, kind: str, models: list[Any], smaller: list[Any], seed: int,
    inputs: np.ndarray, count: int,
) -> list[Run]:  # fmt: skip
    """Runs of one inference each.

    Where a perceptron's element is moved, all above it is recomputed: one product alone is wrong.
    In a transformer all else stays honest. The other kinds claim what another model computes.
    """
    model, beside = models[seed], models[(seed + 1) % len(models)]
    if model.kind == "transformer":
        return _tampered_transformer(rng, kind, model, beside, inputs, count)
    honest = _products(model, inputs)
    rows = [i % len(inputs) for i in range(count)]
    if kind not in (ELEMENT, TWO_ROWS):
        other = {
            LAYER: _with_other_layer(model, beside), SMALLER: smaller[seed], WEIGHTS: beside
        }[kind]  # fmt: skip
        claimed = _products(other, inputs)
        return [(inputs[i][None], _row(honest, i), _row(claimed, i)) for i in rows]
    runs = []
    for start in range(0, count, SHARED):  # runs with the same element, each with its own image
        layer = rng.integers(len(honest))
        column = rng.integers(honest[layer].shape[1])
        step = rng.choice([-1, 1])
        name = f"layer_{layer}"
        bias = np.array(model.params[name]["bias"])
        bias[column] += step  # a moved bias has the same consequences above
        params = model.params | {name: model.params[name] | {"bias": jnp.asarray(bias)}}
        claimed = _products(dataclasses.replace(model, params=params), inputs)
        claimed[layer] = honest[layer].copy()
        claimed[layer][:, column] += step
        for i in rng.integers(len(inputs), size=min(SHARED, count - start)):
            runs.append((inputs[i][None], _row(honest, int(i)), _row(claimed, int(i))))
    if kind == TWO_ROWS:  # neighbouring runs become one claim: elements of different columns
        rng.shuffle(runs)
    return runs


def _tampered_transformer(
    rng: np.random.Generator, kind: str, model: Any, beside: Any, inputs: np.ndarray, count: int
) -> list[Run]:
    blocks = jax.tree.map(lambda leaf: leaf[::-1], model.params["blocks"])
    swapped = dataclasses.replace(model, params=model.params | {"blocks": blocks})
    other = {LAYER: swapped, WEIGHTS: beside}.get(kind)
    runs = []
    for i in range(count):
        x = inputs[i % len(inputs)][None]
        honest = [np.asarray(product) for product in verify.run(model, x)[1]]
        if other is None:
            claimed = [product.copy() for product in honest]
            target = claimed[rng.integers(len(claimed))].reshape(-1)
            place = rng.integers(target.size)
            target[place] += -1 if target[place] > 0 else 1  # towards 0, so that it stays in range
        else:
            claimed = [np.asarray(product) for product in verify.run(other, x)[1]]
        runs.append((x, honest, claimed))
    return runs


def _products(model: Any, inputs: np.ndarray) -> list[np.ndarray]:
    return [np.asarray(product) for product in verify.run(model, jnp.asarray(inputs))[1]]


def _row(products: list[np.ndarray], place: int) -> list[np.ndarray]:
    return [product[place][None] for product in products]


def _with_other_layer(model: Any, other: Any) -> Any:
    """The perceptron with its second layer from another model."""
    params = model.params | {"layer_1": other.params["layer_1"]}
    return dataclasses.replace(model, params=params)


def count_multiply_adds(config: Config) -> np.ndarray:
    """Multiply-adds ``int[W, B, 2]`` of check and execution, square weights and batches of rows."""
    return np.array(
        [
            [
                (product.check_multiply_adds, product.multiply_adds)
                for rows in config.rows
                for product in [verify.Product((), rows, width, width, 1, 1)]
            ]
            for width in config.costs
        ]
    )


def measure_seconds(width: int = 1024, rows: int = 256, repeats: int = 3) -> np.ndarray:
    """Least processor seconds ``[3]`` of checking a product, and of it in int32 and float32."""
    rng = np.random.default_rng(0)
    a = jnp.asarray(rng.integers(-127, 128, (rows, width)), jnp.int32)
    b = jnp.asarray(rng.integers(-127, 128, (width, width)), jnp.int32)
    c = jnp.asarray(np.asarray(a) @ np.asarray(b), jnp.int32)
    r = verify.field.random(jax.random.key(0), (width,))
    programs = (
        (jax.jit(verify.freivalds), (a, b, c, r)),
        (jax.jit(jnp.matmul), (a, b)),
        (jax.jit(jnp.matmul), (a.astype(jnp.float32), b.astype(jnp.float32))),
    )
    found = []
    for program, arguments in programs:
        jax.block_until_ready(program(*arguments))
        times = []
        for _ in range(repeats):
            start = time.process_time()
            jax.block_until_ready(program(*arguments))
            times.append(time.process_time() - start)
        found.append(min(times))
    return np.array(found)
