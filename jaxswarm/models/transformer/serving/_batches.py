"""Programs of a server: static batches without and with a cache, and in-flight batching."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.models.transformer._log_probs import repeat_rows
from jaxswarm.models.transformer._model import LanguageModel
from jaxswarm.models.transformer._network import Cache, resized
from jaxswarm.models.transformer.serving._acceleration import Acceleration
from jaxswarm.models.transformer.serving._weights import restore
from jaxswarm.types import PyTree

Serve = Callable[[PyTree, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]


class Sizes(NamedTuple):
    """Slots ``B``, tokens of a prompt ``P``, of its prefix ``S``, new tokens ``T``; static."""

    batch: int
    prompt: int
    prefix: int
    new: int


def serving(model: LanguageModel, how: Acceleration, sizes: Sizes) -> Serve:
    """The program ``(weights, prompts, lengths) -> (tokens [R, T], steps)`` of a choice."""
    if not how.cache:
        return _static(_recomputing(model, sizes), sizes)
    if how.continuous:
        return _continuous(model, how, sizes)
    return _static(_cached(model, how, sizes), sizes)


def prefill(
    model: LanguageModel, params: Any, cache: Cache, tokens: jax.Array, chunk: int | None
) -> tuple[jax.Array, Cache]:
    """Process the rest of prompts, at once or in chunks; slots are added as they are needed.

    A chunk attends to what stands before it alone, half of what attention over the whole prompt
    computes.

    Returns:
        Logits ``[B, V]`` after the last token, and the cache.
    """
    count = tokens.shape[1]
    logits: Any = None
    for begin in range(0, count, chunk or count):
        part = tokens[:, begin : begin + (chunk or count)]
        cache = resized(cache, cache.valid.shape[1] + part.shape[1])
        last = jnp.full(len(part), part.shape[1] - 1)
        assert model.extend_at is not None
        outputs, cache = model.extend_at(params, cache, part, None, last)
        logits = outputs.logits[:, 0]
    return logits, cache


def _prefix(
    model: LanguageModel, params: Any, how: Acceleration, sizes: Sizes, prompts: jax.Array
) -> tuple[Cache, int]:
    """Cache of one row with what all prompts begin with, and how many tokens that are."""
    if not (how.prefix and sizes.prefix):
        empty = model.start(1, 1)
        return resized(empty, 0), 0
    _, cache = prefill(model, params, resized(model.start(1, 1), 0), prompts[:1, : sizes.prefix],
                       how.chunk)  # fmt: skip
    return cache, sizes.prefix


def _choose(logits: jax.Array) -> jax.Array:
    return jnp.argmax(logits, axis=-1).astype(jnp.int32)


def _static(serve_batch: Callable[..., Any], sizes: Sizes) -> Serve:
    """Serve batches of ``B`` requests one after another; the last is filled up."""

    def serve(weights: PyTree, prompts: jax.Array, lengths: jax.Array) -> Any:
        requests = len(prompts)
        padding = -requests % sizes.batch
        prompts = jnp.concatenate([prompts, jnp.repeat(prompts[:1], padding, axis=0)])
        lengths = jnp.concatenate([lengths, jnp.zeros(padding, jnp.int32)])
        batches = prompts.reshape(-1, sizes.batch, sizes.prompt)
        wanted = lengths.reshape(-1, sizes.batch)
        tokens, steps = serve_batch(weights, batches, wanted)
        tokens = tokens.reshape(-1, sizes.new)
        kept = jnp.arange(sizes.new)[None] < lengths[:, None]
        return jnp.where(kept, tokens, 0)[:requests], jnp.sum(steps)

    return serve


def _recomputing(model: LanguageModel, sizes: Sizes) -> Callable[..., Any]:
    """Without a cache: all tokens anew for each new one."""

    def serve_batches(weights: PyTree, batches: jax.Array, wanted: jax.Array) -> Any:
        def one(_: None, batch: tuple[jax.Array, jax.Array]) -> Any:
            prompts, lengths = batch
            most = jnp.max(lengths)
            empty = jnp.zeros((sizes.batch, sizes.new), jnp.int32)
            tokens = jnp.concatenate([prompts, empty], axis=1)

            def step(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
                i, tokens = carry
                logits = model.apply(restore(weights), tokens).logits
                at = sizes.prompt + i
                here = jax.lax.dynamic_index_in_dim(logits, at - 1, axis=1, keepdims=False)
                new = _choose(here)[:, None]
                return i + 1, jax.lax.dynamic_update_slice_in_dim(tokens, new, at, axis=1)

            count, tokens = jax.lax.while_loop(
                lambda carry: carry[0] < most, step, (jnp.int32(0), tokens)
            )
            return None, (tokens[:, sizes.prompt :], count)

        return jax.lax.scan(one, None, (batches, wanted))[1]

    return serve_batches


def _cached(model: LanguageModel, how: Acceleration, sizes: Sizes) -> Callable[..., Any]:
    """With a cache: prompts once, then one token of each row at a time."""

    def serve_batches(weights: PyTree, batches: jax.Array, wanted: jax.Array) -> Any:
        prefix, known = _prefix(model, restore(weights), how, sizes, batches[0])

        def one(_: None, batch: tuple[jax.Array, jax.Array]) -> Any:
            prompts, lengths = batch
            most = jnp.max(lengths)
            logits, cache = prefill(
                model, restore(weights), repeat_rows(prefix, sizes.batch), prompts[:, known:],
                how.chunk,
            )  # fmt: skip
            cache = resized(cache, sizes.prompt + sizes.new)
            first = _choose(logits)
            tokens = jnp.zeros((sizes.batch, sizes.new), jnp.int32).at[:, 0].set(first)

            def step(carry: Any) -> Any:
                i, cache, token, tokens = carry
                outputs, cache = model.extend(restore(weights), cache, token[:, None])
                token = _choose(outputs.logits[:, 0])
                tokens = jax.lax.dynamic_update_slice_in_dim(tokens, token[:, None], i, axis=1)
                return i + 1, cache, token, tokens

            count, _, _, tokens = jax.lax.while_loop(
                lambda carry: carry[0] < most, step, (jnp.int32(1), cache, first, tokens)
            )
            return None, (tokens, count)

        return jax.lax.scan(one, None, (batches, wanted))[1]

    return serve_batches


class _Slots(NamedTuple):
    caches: Cache  # one row in each slot, leaves [B, 1, ...]
    request: jax.Array  # int32[B], R where the slot is free
    made: jax.Array  # int32[B], tokens generated
    token: jax.Array  # int32[B], the last of them
    tokens: jax.Array  # int32[R + 1, T]
    queued: jax.Array  # int32[], the next request
    done: jax.Array  # int32[]
    steps: jax.Array  # int32[]
    coming: Cache  # row that is being processed in chunks
    at: jax.Array  # int32[], how many of its tokens are


def _continuous(model: LanguageModel, how: Acceleration, sizes: Sizes) -> Serve:
    """A free slot is given to the next request, at once or chunk by chunk beside the decoding."""

    def serve(weights: PyTree, prompts: jax.Array, lengths: jax.Array) -> Any:
        requests = len(prompts)
        prefix, known = _prefix(model, restore(weights), how, sizes, prompts)
        rest = sizes.prompt - known
        chunk = min(how.chunk or rest, rest)
        padding = -rest % chunk
        num_slots = known + rest + padding + sizes.new
        suffixes = jnp.pad(prompts[:, known:], ((0, 0), (0, padding)))
        counted = jnp.arange(rest + padding)[None] < rest
        lengths = jnp.append(lengths, 1)
        begun = resized(prefix, num_slots - sizes.new)
        whole = resized(prefix, num_slots)

        def enter(state: _Slots, row: Cache, logits: jax.Array) -> _Slots:
            slot = jnp.argmax(state.request == requests)
            token = _choose(logits)[0]
            row = resized(row, num_slots)
            caches = jax.tree.map(lambda all_, x: all_.at[slot].set(x), state.caches, row)
            ends = lengths[state.queued] == 1
            return state._replace(
                caches=caches,
                request=state.request.at[slot].set(jnp.where(ends, requests, state.queued)),
                made=state.made.at[slot].set(1),
                token=state.token.at[slot].set(token),
                tokens=state.tokens.at[state.queued, 0].set(token),
                queued=state.queued + 1,
                done=state.done + ends,
            )

        def admit(state: _Slots) -> _Slots:
            part = suffixes[state.queued][None, :rest]
            logits, row = prefill(model, restore(weights), prefix, part, None)
            return enter(state, row, logits)

        def admit_chunk(state: _Slots) -> _Slots:
            row = jax.lax.dynamic_index_in_dim(suffixes, state.queued)
            part = jax.lax.dynamic_slice_in_dim(row, state.at, chunk, axis=1)
            mask = jax.lax.dynamic_slice_in_dim(counted, state.at, chunk, axis=1)
            last = jnp.minimum(rest - state.at, chunk)[None] - 1
            assert model.extend_at is not None
            outputs, coming = model.extend_at(restore(weights), state.coming, part, mask, last)
            at = state.at + chunk

            def finish(state: _Slots) -> _Slots:
                state = enter(state, coming, outputs.logits[:, 0])
                return state._replace(coming=begun, at=jnp.int32(0))

            def wait(state: _Slots) -> _Slots:
                return state._replace(coming=coming, at=at)

            return jax.lax.cond(at >= rest, finish, wait, state)

        def decode(state: _Slots) -> _Slots:
            params = restore(weights)

            def extend(cache: Cache, token: jax.Array) -> tuple[jax.Array, Cache]:
                outputs, cache = model.extend(params, cache, token[None, None])
                return outputs.logits[0, 0], cache

            logits, caches = jax.vmap(extend)(state.caches, state.token)
            token = _choose(logits)
            tokens = state.tokens.at[state.request, state.made].set(token, mode="drop")
            made = state.made + 1
            ends = (state.request < requests) & (made >= lengths[state.request])
            return state._replace(
                caches=caches,
                request=jnp.where(ends, requests, state.request),
                made=made,
                token=token,
                tokens=tokens,
                done=state.done + jnp.sum(ends, dtype=jnp.int32),
                steps=state.steps + 1,
            )

        def can_admit(state: _Slots) -> jax.Array:
            return (state.queued < requests) & jnp.any(state.request == requests)

        def step(state: _Slots) -> _Slots:
            if how.chunk is None:
                return jax.lax.cond(can_admit(state), admit, decode, state)
            state = jax.lax.cond(can_admit(state), admit_chunk, lambda state: state, state)
            busy = jnp.any(state.request < requests)
            return jax.lax.cond(busy, decode, lambda state: state, state)

        zero = jnp.int32(0)
        start = _Slots(
            caches=jax.tree.map(
                lambda x: jnp.broadcast_to(x[None], (sizes.batch, *x.shape)), whole
            ),
            request=jnp.full(sizes.batch, requests, jnp.int32),
            made=jnp.zeros(sizes.batch, jnp.int32),
            token=jnp.zeros(sizes.batch, jnp.int32),
            tokens=jnp.zeros((requests + 1, sizes.new), jnp.int32),
            queued=zero,
            done=zero,
            steps=zero,
            coming=begun,
            at=zero,
        )
        end = jax.lax.while_loop(lambda state: state.done < requests, step, start)
        return end.tokens[:requests], end.steps

    return serve
