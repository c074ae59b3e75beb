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
LEVELS = 17  # tokens of a pixel's brightness; labels are the first of them
SIDE = 4  # rows and columns of the image that the transformer reads
ELEMENT, TWO_ROWS, LAYER, SMALLER, WEIGHTS = (
    "one element by one",
    "two rows",
    "other layer",
    "smaller model",
    "other weights",
)
TAMPERINGS = (ELEMENT, TWO_ROWS, LAYER, SMALLER, WEIGHTS)
CHUNK = 500  # runs that are checked at once
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
        from the honest ones, and those of them that were accepted; ``committed [2]`` likewise with
        commitments and hashed challenges; ``multiply_adds int[W, B, 2]``, of the check and of the
        execution; ``seconds [3]``, of the check, the execution in integers and in ``float32``.
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
    progress("tampered runs")
    key = jax.random.fold_in(jax.random.key(config.seed), 6)
    tampered: dict[str, np.ndarray] = {}
    part = config.tampered // (len(TAMPERINGS) * config.seeds)
    inputs = [np.asarray(m.inputs(x)) for m in perceptrons]
    for place, kind in enumerate(TAMPERINGS):
        tampered[f"perceptron, {kind}"] = sum(
            tamper(jax.random.fold_in(key, 100 * place + s), kind, perceptrons, small, s,
                   inputs[s], (part * 4) // 5, verify.field.MERSENNE)
            for s in range(config.seeds)
        )  # fmt: skip
        if kind != SMALLER:
            tampered[f"transformer, {kind}"] = sum(
                tamper(jax.random.fold_in(key, 100 * place + 50 + s), kind, transformers, small, s,
                       tokens[2], part // 4, verify.field.MERSENNE)
                for s in range(config.seeds)
            )  # fmt: skip
    progress("tampered runs at a small prime")
    narrow = [quantized(model, images, FEW_BITS, skip=1) for model in models]
    narrow_small = [quantized(model, images, FEW_BITS, skip=1) for model in smaller]
    rough: dict[str, np.ndarray] = {}
    for place, kind in enumerate(TAMPERINGS):
        count = config.tampered // config.seeds // (1 if kind == ELEMENT else 5)
        rough[kind] = sum(
            tamper(jax.random.fold_in(key, 1000 + 100 * place + s), kind, narrow, narrow_small, s,
                   np.asarray(narrow[s].inputs(_activation(models[s], x))), count, SMALL_PRIME)
            for s in range(config.seeds)
        )  # fmt: skip
    progress("commitments to tampered runs")
    committed = commit_tampered(config, perceptrons, inputs)
    return {
        "accuracy": accuracy,
        "honest": honest,
        "tampered": tampered,
        "tampered_small_prime": rough,
        "committed": committed,
        "multiply_adds": count_multiply_adds(config),
        "seconds": measure_seconds(),
    }


def quantized(
    model: Params, images: Images, bits: int = 8, *, skip: int = 0
) -> verify.QuantizedModel:
    """Quantize a perceptron, or what follows its first ``skip`` layers."""
    x = np.concatenate([np.asarray(images.train_x), np.asarray(images.test_x)])
    if skip:
        x = _activation(model, x)
    layers = [(np.asarray(layer["kernel"]), np.asarray(layer["bias"])) for layer in model[skip:]]
    return verify.quantize(layers, x, bits)


def _activation(model: Params, x: np.ndarray) -> np.ndarray:
    layer = model[0]
    return np.maximum(x @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"]), 0.0)


def _logits(model: Params, x: np.ndarray) -> np.ndarray:
    for layer in model[:-1]:
        x = np.maximum(x @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"]), 0.0)
    return x @ np.asarray(model[-1]["kernel"]) + np.asarray(model[-1]["bias"])


def pixel_tokens(images: Images) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens ``int32[…, 16]`` of training images, their labels, and tokens of test images."""

    def tokens(x: Any) -> np.ndarray:
        side = round(x.shape[1] ** 0.5)
        block = side // SIDE
        grid = np.asarray(x).reshape(-1, side, side)[:, : SIDE * block, : SIDE * block]
        means = grid.reshape(-1, SIDE, block, SIDE, block).mean(axis=(2, 4))
        return np.rint(means * (LEVELS - 1)).astype(np.int32).reshape(-1, SIDE * SIDE)

    return tokens(images.train_x), np.asarray(images.train_y), tokens(images.test_x)


def train_transformers(config: Config, tokens: np.ndarray, labels: np.ndarray) -> tuple[Any, Any]:
    """Two-layer transformers that predict the label after an image, one for each seed."""
    network = transformer.from_config(
        transformer.Config(vocab_size=LEVELS, width=config.transformer_width, num_layers=2)
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
            rows = jax.random.randint(own, (config.batch,), 0, len(x))
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
    share = config.honest // (2 * len(models))
    for model in models:
        claims = [verify.prove(model, x[i % len(x)][None]).to_bytes() for i in range(share)]
        verdicts = verify.check_batch(model, claims)
        made, accepted = made + len(claims), accepted + sum(v.accepted for v in verdicts)
    return np.array([made, accepted])


def tamper(
    key: Key, kind: str, models: list[Any], smaller: list[Any], seed: int, inputs: np.ndarray,
    count: int, modulus: int,
) -> np.ndarray:  # fmt: skip
    """Check tampered executions of one kind with uniform challenges.

    Of a perceptron's tampered element everything above is recomputed, so that one product alone is
    wrong, by one element; the other kinds claim what another model computes.

    Returns:
        ``int[2]``: runs whose products differ from the honest ones, and those accepted.
    """
    model = models[seed]
    other = {
        LAYER: lambda: _with_other_layer(model, models[(seed + 1) % len(models)]),
        SMALLER: lambda: smaller[seed],
        WEIGHTS: lambda: models[(seed + 1) % len(models)],
    }.get(kind, lambda: model)()
    rows = 2 if kind == TWO_ROWS and model.kind == "mlp" else 1
    differ = accepted = 0
    for start in range(0, count, CHUNK):
        own = jax.random.fold_in(key, start)
        size = min(CHUNK, count - start)
        found = _checked(
            own, model, other, jnp.asarray(inputs), kind=kind, rows=rows, size=CHUNK,
            modulus=modulus,
        )  # fmt: skip
        wrong, passed = (np.asarray(each)[:size] for each in found)
        differ, accepted = differ + int(wrong.sum()), accepted + int((wrong & passed).sum())
    return np.array([differ, accepted])


def _checked_runs(
    key: Key, model: Any, other: Any, inputs: jax.Array, *, kind: str, rows: int, size: int,
    modulus: int,
) -> tuple[jax.Array, jax.Array]:  # fmt: skip
    """Whether each run's products are wrong, and whether the check accepts them ``bool[R]``."""
    sizes = verify.plan(model, (rows, inputs.shape[1]))

    def one(own: Key) -> tuple[jax.Array, jax.Array]:
        pick, where, challenge = jax.random.split(own, 3)
        x = inputs[jax.random.randint(pick, (rows,), 0, len(inputs))]
        honest = verify.run(model, x)[1]
        claimed = honest
        if kind in (ELEMENT, TWO_ROWS):
            claimed = _moved(where, model, x, honest, kind)
        else:
            claimed = verify.run(other, x)[1]
        keys = jax.random.split(challenge, len(sizes))
        drawn = tuple(
            verify.field.random(k, (1, product.columns), modulus)
            for k, product in zip(keys, sizes, strict=True)
        )
        _, right, in_range = verify.check_products(model, x, claimed, drawn, modulus)
        wrong = [jnp.any(a != b) for a, b in zip(honest, claimed, strict=True)]
        return jnp.any(jnp.stack(wrong)), jnp.all(right) & jnp.all(in_range)

    return jax.vmap(one)(jax.random.split(key, size))


_checked = jax.jit(_checked_runs, static_argnames=("kind", "rows", "size", "modulus"))


def _moved(
    key: Key, model: Any, x: jax.Array, honest: tuple[jax.Array, ...], kind: str
) -> tuple[jax.Array, ...]:
    """Products with one element (in two rows: one each) moved by one, away from its bound."""
    layer_key, place_key = jax.random.split(key)
    layer = jax.random.randint(layer_key, (), 0, len(honest))
    claimed = list(honest)
    if kind == TWO_ROWS:  # in the last product: nothing above it is left to recompute
        last = honest[-1]
        flat = last.reshape(-1, last.shape[-1])
        column = jax.random.randint(place_key, (), 0, last.shape[-1])
        beside = (column + 1) % last.shape[-1]
        flat = flat.at[0, column].add(_away(flat[0, column]))
        flat = flat.at[-1, beside].add(_away(flat[-1, beside]))
        claimed[-1] = flat.reshape(last.shape)
        return tuple(claimed)
    for place, product in enumerate(honest):
        flat = product.reshape(-1)
        index = jax.random.randint(jax.random.fold_in(place_key, place), (), 0, flat.size)
        step = _away(flat[index])
        if model.kind == "mlp":  # a moved bias has the same consequences above
            name = f"layer_{place}"
            bias = model.params[name]["bias"].at[index].add(step)
            params = model.params | {name: model.params[name] | {"bias": bias}}
            above = verify.run(dataclasses.replace(model, params=params), x)[1]
        else:
            above = honest
        moved = [*above[:place], flat.at[index].add(step).reshape(product.shape)]
        moved += above[place + 1 :]
        claimed = [
            jnp.where(layer == place, new, old) for new, old in zip(moved, claimed, strict=True)
        ]
    return tuple(claimed)


def _away(value: jax.Array) -> jax.Array:
    """One towards 0, so that the element stays in its range."""
    return jnp.where(value > 0, -1, 1).astype(value.dtype)


def _with_other_layer(model: Any, other: Any) -> Any:
    """The model with its second layer from another model, or with its two blocks swapped."""
    if model.kind == "mlp":
        changed = {"layer_1": other.params["layer_1"]}
    else:
        changed = {"block_0": model.params["block_1"], "block_1": model.params["block_0"]}
    return dataclasses.replace(model, params=model.params | changed)


def commit_tampered(config: Config, models: list[Any], inputs: list[np.ndarray]) -> np.ndarray:
    """Tampered claims with valid commitments, and those accepted: ``int[2]``."""
    made = accepted = 0
    rng = np.random.default_rng([config.seed, 8])
    share = config.proved // len(models)
    for model, x in zip(models, inputs, strict=True):
        claims = []
        for i in range(share):
            own = x[i % len(x)][None]
            products = [np.array(p) for p in verify.run(model, own)[1]]
            target = products[rng.integers(len(products))]
            target[0, rng.integers(target.shape[1])] += rng.choice([-1, 1])
            claims.append(verify.commit(model, own, products).to_bytes())
        verdicts = verify.check_batch(model, claims)
        made, accepted = made + len(claims), accepted + sum(v.accepted for v in verdicts)
    return np.array([made, accepted])


def count_multiply_adds(config: Config) -> np.ndarray:
    """Multiply-adds ``int[W, B, 2]`` of check and execution, square weights and batches of rows."""
    return np.array(
        [
            [
                (product.check_multiply_adds, product.multiply_adds)
                for rows in config.rows
                for product in [verify.Product((), rows, width, width, True, 1)]
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
