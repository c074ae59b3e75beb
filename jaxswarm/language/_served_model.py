"""Replies of the OpenAI protocol from a causal model: prompts, sampling, stops, token counts."""

import functools
import itertools
import threading
import time
import uuid
from typing import Any

import jax
import numpy as np

from jaxswarm import checks
from jaxswarm.data import tokenizers
from jaxswarm.models.transformer import LanguageModel, generate
from jaxswarm.types import Params

_SMALLEST_WIDTH = 16
_MOST_SAMPLES = 64


class RequestError(Exception):
    """A request that cannot be answered, with its HTTP status."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class ServedModel:
    """A model that answers decoded requests, one at a time.

    Args:
        model: of one agent.
        params: its parameters.
        tokenizer: of its texts.
        name: of the model, for clients.
        max_new_tokens: of a reply, at most.
        max_prompt_tokens: of a prompt, at most.
    """

    def __init__(
        self,
        model: LanguageModel,
        params: Params,
        tokenizer: tokenizers.Tokenizer,
        *,
        name: str,
        max_new_tokens: int,
        max_prompt_tokens: int,
    ) -> None:
        self.name = name
        self._params, self._tokenizer = params, tokenizer
        self._max_new, self._max_prompt = max_new_tokens, max_prompt_tokens
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._entropy = int(np.random.SeedSequence().generate_state(1)[0]) >> 1

        self._sample = _sampler(model, max_new_tokens)

    def reply(self, body: Any, *, chat: bool) -> dict[str, Any]:
        """Answer a request's body.

        Raises:
            RequestError: for a body that is not understood.
        """
        if not isinstance(body, dict):
            raise RequestError("expected an object")
        if body.get("model") != self.name:
            raise RequestError(f"model: expected {self.name!r}, got {body.get('model')!r}", 404)
        for name, neutral in (("stream", False), ("top_p", 1)):
            if body.get(name) not in (None, neutral):
                raise RequestError(f"{name}: expected {neutral}, got {body[name]!r}")
        limit = body.get("max_completion_tokens", body.get("max_tokens"))
        limit = self._max_new if limit is None else _whole("max_tokens", limit, 1)
        count = 1 if body.get("n") is None else _whole("n", body["n"], 1, _MOST_SAMPLES)
        temperature = body.get("temperature")
        if temperature is None:
            temperature = 1.0
        try:
            checks.real("temperature", temperature, 0.0)
        except ValueError as error:
            raise RequestError(str(error)) from error
        stops = _stops(body.get("stop"))
        seed = body.get("seed")
        if seed is None:
            seed = (self._entropy + next(self._numbers)) % 2**31
        key = jax.random.key(_whole("seed", seed))
        prompt = self._encoded(_chat_prompt(body) if chat else _prompt(body))
        choices, written = [], 0
        for index in range(count):
            each = key if index == 0 else jax.random.fold_in(key, index)
            tokens = self._tokens(each, prompt, float(temperature))[:limit]
            written += len(tokens)
            text = self._tokenizer.decode(tokens)
            cut = min((i for i in (text.find(stop) for stop in stops) if i >= 0), default=None)
            ended = cut is not None or tokenizers.END in tokens
            text = text if cut is None else text[:cut]
            content = (
                {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
            )
            reason = "stop" if ended else "length"
            choices.append({"index": index, **content, "finish_reason": reason, "logprobs": None})
        read = len(prompt)
        usage = {"prompt_tokens": read, "completion_tokens": written}
        return {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "chat.completion" if chat else "text_completion",
            "created": int(time.time()),
            "model": self.name,
            "choices": choices,
            "usage": {**usage, "total_tokens": read + written},
        }

    def _encoded(self, text: str) -> list[int]:
        try:
            tokens = self._tokenizer.encode(text)
        except ValueError as error:
            raise RequestError(f"prompt: {error}") from error
        if not 1 <= len(tokens) <= self._max_prompt:
            raise RequestError(
                f"prompt: expected 1 to {self._max_prompt} tokens, got {len(tokens)}"
            )
        return tokens

    def _tokens(self, key: Any, prompt: list[int], temperature: float) -> list[int]:
        """Generated tokens, the end token included; prompts are padded to few lengths."""
        width = _SMALLEST_WIDTH
        while width < len(prompt):
            width *= 2
        row = np.zeros((1, width), np.int32)
        row[0, : len(prompt)] = prompt
        mask = np.arange(width)[None] < len(prompt)
        with self._lock:
            found = self._sample(key, self._params, row, mask, np.float32(temperature))
            tokens, used, log_probs = (
                np.asarray(x)[0] for x in (found.tokens, found.mask, found.log_probs)
            )
        if not np.isfinite(log_probs).all():
            raise RequestError("the model's logits are not finite", 500)
        return tokens[used].tolist()


@functools.lru_cache(maxsize=8)
def _sampler(model: LanguageModel, max_new_tokens: int) -> Any:
    """Compiled sampling of one completion.

    A completion does not depend on the largest length, so that shorter ones are its beginning, and
    every request runs the same program.
    """

    def sample(key: Any, params: Params, prompt: Any, mask: Any, temperature: Any) -> Any:
        return generate(
            key,
            model,
            params,
            prompt,
            mask,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
        )

    return jax.jit(sample)


def _whole(name: str, value: Any, low: int = 0, high: int = checks.LARGEST) -> int:
    try:
        return checks.whole(name, value, low, high)
    except ValueError as error:
        raise RequestError(str(error)) from error


def _chat_prompt(body: dict[str, Any]) -> str:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise RequestError("messages: expected a list")
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise RequestError("messages: expected objects with a text as content")
    return "\n".join(message["content"] for message in messages)


def _prompt(body: dict[str, Any]) -> str:
    if not isinstance(body.get("prompt"), str):
        raise RequestError("prompt: expected a text")
    return body["prompt"]


def _stops(stop: Any) -> list[str]:
    stops = [] if stop is None else [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or not all(isinstance(x, str) and x for x in stops):
        raise RequestError("stop: expected a text or a list of texts")
    return stops
