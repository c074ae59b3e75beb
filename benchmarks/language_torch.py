"""The round of :mod:`benchmarks.language` in PyTorch: a loop over agents, and agents in one batch.

Needs the extra ``bench``. Model, parameters and questions are those of jaxswarm; each prompt is
processed once for all its responses, and keys and values are kept in a cache that grows by
concatenation, as in Hugging Face's generation loop. Rewards compare texts on the host.

Shapes: ``A`` agents (no axis in the loop), ``B`` sequences, ``C`` tokens that are processed now,
``S`` tokens so far, ``Q`` questions of ``G`` responses, ``D`` width, ``V`` tokens of the
vocabulary.
"""

import os
import time
import timeit
from typing import NamedTuple

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch.nn import functional  # pyright: ignore[reportMissingImports]

from jaxswarm.data import tokenizers
from jaxswarm.models import transformer

EPSILON = 1e-6  # of flax's RMSNorm
Weights = dict[str, torch.Tensor]
Group = tuple[Weights, torch.optim.Adam, torch.Tensor, torch.Tensor, np.ndarray]
"""Parameters, their optimizer, prompts, their mask and answers."""


class Work(NamedTuple):
    """What a round needs, on the host.

    Attributes:
        config: of the transformer.
        tokenizer: of questions and responses.
        params: leaves ``[A, ...]`` by their path, as ``"block_0/qkv/kernel"``.
        prompts: ``int[A, Q, P]``.
        prompt_mask: ``bool[A, Q, P]``.
        answers: texts, ``A`` lists of ``Q``.
        num_samples: ``G``.
        num_tokens: of each response.
        learning_rate: Adam's step size.
    """

    config: transformer.Config
    tokenizer: tokenizers.Tokenizer
    params: dict[str, np.ndarray]
    prompts: np.ndarray
    prompt_mask: np.ndarray
    answers: list[list[str]]
    num_samples: int
    num_tokens: int
    learning_rate: float


class Cache(NamedTuple):
    """Keys and values so far.

    Attributes:
        keys: one ``[A, B, H, S, E]`` per layer, rotated.
        values: the same shape.
        valid: ``bool[A, B, S]``.
    """

    keys: list[torch.Tensor]
    values: list[torch.Tensor]
    valid: torch.Tensor


class Peer:
    """Model and round for stacked parameters ``[A, ...]``, or for those of one agent.

    Attributes:
        threads: of PyTorch, 1 or all cores: whichever is faster for the section.
    """

    name = "torch-batched"

    def __init__(self, work: Work, *, seed: int = 0) -> None:
        self.work = work
        self.generator = torch.Generator().manual_seed(seed)
        self.threads: dict[str, int] = {}
        self.given: list[tuple[torch.Tensor, torch.Tensor]] | None = None
        self.groups = [self._group(slice(None))]

    def _group(self, agents: slice | int) -> Group:
        """Parameters, their optimizer, prompts, their mask and answers of some agents."""
        work = self.work
        weights = {
            name: torch.from_numpy(np.array(leaf[agents])).requires_grad_()
            for name, leaf in work.params.items()
        }
        optimizer = torch.optim.Adam(weights.values(), lr=work.learning_rate)
        tokens, mask = (torch.tensor(x[agents]) for x in (work.prompts, work.prompt_mask))
        return weights, optimizer, tokens.long(), mask, np.array(work.answers)[agents]

    # The model.

    def extend(
        self, weights: Weights, tokens: torch.Tensor, mask: torch.Tensor, cache: Cache | None
    ) -> tuple[torch.Tensor, Cache]:
        """Logits ``[A, B, C, V]`` of tokens after those of the cache, and the longer cache."""
        config = self.work.config
        heads, width, count = config.num_heads, config.head_width, tokens.shape[-1]
        valid = mask if cache is None else torch.cat([cache.valid, mask], dim=-1)
        past = valid.shape[-1] - count
        positions = (valid.cumsum(-1) - 1).clamp(min=0)[..., past:]
        causal = torch.ones(count, past + count, dtype=torch.bool).tril(past)
        allowed = (causal & valid[..., None, :]).flatten(0, -3)[:, None]  # [A B, 1, C, S]
        frequencies = config.rope_base ** (-torch.arange(width // 2) / (width // 2))
        angles = positions[..., None, None] * frequencies
        cos, sin = angles.cos(), angles.sin()

        table = weights["embed/embedding"]
        offset = torch.arange(len(table))[:, None, None] * config.vocab_size
        rows = tokens + offset if table.ndim == 3 else tokens
        x = functional.embedding(rows, table.reshape(-1, config.width))
        keys, values = [], []
        for layer in range(config.num_layers):
            own = f"block_{layer}/"
            y = _dense(_norm(x, weights[own + "attention_norm/scale"]), weights[own + "qkv/kernel"])
            q, k, v = y.unflatten(-1, (3, heads, width)).unbind(-3)
            q, k = _rotated(q, cos, sin), _rotated(k, cos, sin)
            q, k, v = (part.transpose(-3, -2) for part in (q, k, v))  # [A, B, H, C, E]
            if cache is not None:
                k = torch.cat([cache.keys[layer], k], dim=-2)
                v = torch.cat([cache.values[layer], v], dim=-2)
            keys.append(k)
            values.append(v)
            flat = (part.flatten(0, -4) for part in (q, k, v))
            mixed = functional.scaled_dot_product_attention(*flat, attn_mask=allowed)
            mixed = mixed.reshape(q.shape).transpose(-3, -2).flatten(-2)
            x = x + _dense(mixed, weights[own + "out/kernel"])
            y = _dense(_norm(x, weights[own + "mlp_norm/scale"]), weights[own + "up/kernel"])
            x = x + _dense(y.relu(), weights[own + "down/kernel"])
        logits = _dense(_norm(x, weights["norm/scale"]), table.mT)
        return logits, Cache(keys, values, valid)

    def prefill(
        self, weights: Weights, prompts: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, Cache]:
        """Logits ``[A, B, V]`` after each prompt and the cache, ``G`` rows of each prompt."""
        logits, cache = self.extend(weights, prompts, mask, None)
        slots = torch.arange(mask.shape[-1])
        last = torch.where(mask, slots, 0).amax(-1)[..., None, None]
        logits = logits.take_along_dim(last, dim=-2)[..., 0, :]

        def repeat(x: torch.Tensor, axis: int) -> torch.Tensor:
            return x.repeat_interleave(self.work.num_samples, dim=axis)

        keys, values = ([repeat(x, -4) for x in part] for part in (cache.keys, cache.values))
        return repeat(logits, -2), Cache(keys, values, repeat(cache.valid, -2))

    # Parts of a round, of one group of agents.

    @torch.no_grad()
    def sample(
        self, weights: Weights, prompts: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Responses ``int[A, Q G, T]`` at temperature 1, and the mask of their tokens."""
        logits, cache = self.prefill(weights, prompts, mask)
        done = torch.zeros(logits.shape[:-1], dtype=torch.bool)
        tokens, alive = [], []
        for step in range(self.work.num_tokens):
            if step:
                logits, cache = self.extend(weights, tokens[-1][..., None], ~done[..., None], cache)
                logits = logits[..., 0, :]
            rows = logits.softmax(-1).flatten(0, -2)
            drawn = torch.multinomial(rows, 1, generator=self.generator).reshape(done.shape)
            tokens.append(drawn.masked_fill(done, tokenizers.PAD))
            alive.append(~done)
            done = done | (tokens[-1] == tokenizers.END)
        return torch.stack(tokens, -1), torch.stack(alive, -1)

    def log_probs(
        self,
        weights: Weights,
        prompts: torch.Tensor,
        mask: torch.Tensor,
        tokens: torch.Tensor,
        alive: torch.Tensor,
    ) -> torch.Tensor:
        """Log-probability of each token of responses, ``[A, Q G, T]``, 0 at padding."""
        first, cache = self.prefill(weights, prompts, mask)
        later, _ = self.extend(weights, tokens[..., :-1], alive[..., :-1], cache)
        logits = torch.cat([first[..., None, :], later], dim=-2)
        found = logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
        return found.masked_fill(~alive, 0.0)

    def rewards(
        self, answers: np.ndarray, tokens: torch.Tensor, alive: torch.Tensor
    ) -> torch.Tensor:
        """Whether the last line of each response is the answer, ``float[A, Q G]``."""
        pieces = [piece.decode() for piece in self.work.tokenizer.pieces]
        wanted = np.repeat(answers, self.work.num_samples, axis=-1).ravel()
        found = []
        for row, length, answer in zip(
            tokens.flatten(0, -2).tolist(), alive.sum(-1).ravel().tolist(), wanted, strict=True
        ):
            ended = row[length - 1] == tokenizers.END
            text = "".join(pieces[token] for token in row[: length - 1])
            found.append(float(ended and text.rpartition("\n")[2] == answer))
        return torch.tensor(found).reshape(alive.shape[:-1])

    def advantages(self, rewards: torch.Tensor) -> torch.Tensor:
        """Rewards minus the mean of the group, divided by its deviation."""
        groups = rewards.unflatten(-1, (-1, self.work.num_samples))
        centered = groups - groups.mean(-1, keepdim=True)
        return (centered / (groups.std(-1, keepdim=True, correction=0) + 1e-8)).flatten(-2)

    def loss(
        self,
        log_probs: torch.Tensor,
        advantages: torch.Tensor,
        alive: torch.Tensor,
    ) -> torch.Tensor:
        """Negative advantage-weighted ratio, a mean over tokens, summed over agents."""
        ratio = torch.exp(log_probs - log_probs.detach())
        weighted = (ratio * advantages[..., None]).masked_fill(~alive, 0.0)
        return -(weighted.sum((-2, -1)) / alive.sum((-2, -1))).sum()

    # Sections of the benchmark, over all agents.

    def round(self) -> None:
        """Sample, reward and make one step of all agents."""
        for weights, optimizer, prompts, mask, answers in self.groups:
            tokens, alive = self.sample(weights, prompts, mask)
            advantages = self.advantages(self.rewards(answers, tokens, alive))
            optimizer.zero_grad(set_to_none=True)
            found = self.log_probs(weights, prompts, mask, tokens, alive)
            self.loss(found, advantages, alive).backward()
            optimizer.step()

    def sampling(self) -> None:
        """Sample responses of all agents."""
        for weights, _, prompts, mask, _ in self.groups:
            self.sample(weights, prompts, mask)

    def gradient(self) -> None:
        """Gradients of all agents on given responses, rewarded if their length is even."""
        if self.given is None:
            self.given = [self.sample(group[0], *group[2:4]) for group in self.groups]
        for (weights, optimizer, prompts, mask, _), (tokens, alive) in zip(
            self.groups, self.given, strict=True
        ):
            signs = 1.0 - 2.0 * (alive.sum(-1) % 2)
            optimizer.zero_grad(set_to_none=True)
            found = self.log_probs(weights, prompts, mask, tokens, alive)
            self.loss(found, signs, alive).backward()

    def compile(self, section: str) -> float:
        """Seconds of the first call (nothing is compiled); then finds the better thread count."""
        function = getattr(self, section)
        began = time.perf_counter()
        function()
        first = time.perf_counter() - began
        tried = {}
        for threads in sorted({1, os.cpu_count() or 1}):
            torch.set_num_threads(threads)
            tried[threads] = min(timeit.repeat(function, number=1, repeat=2))
        self.threads[section] = min(tried, key=tried.__getitem__)
        return first

    def call(self, section: str) -> None:
        """Run a section once."""
        torch.set_num_threads(self.threads[section])
        getattr(self, section)()


class AgentLoop(Peer):
    """What a plain script does: a model and an optimizer of each agent, one after another."""

    name = "torch-loop"

    def __init__(self, work: Work, *, seed: int = 0) -> None:
        super().__init__(work, seed=seed)
        self.groups = [self._group(i) for i in range(len(work.prompts))]


def _dense(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """``x [A, B, C, I] @ kernel [A, I, O]`` by one product of matrices for each agent."""
    return (x.flatten(-3, -2) @ kernel).unflatten(-2, x.shape[-3:-1])


def _norm(x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Normalization by the root of the mean square, with a factor ``[A, D]``."""
    factor = scale if scale.ndim == 1 else scale[:, None, None]
    return functional.rms_norm(x, x.shape[-1:], eps=EPSILON) * factor


def _rotated(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Pairs ``(i, i + E / 2)`` of ``[A, B, C, H, E]`` rotated by the angles of the positions."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


PEERS = (AgentLoop, Peer)
