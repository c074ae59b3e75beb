"""Packets and rounds of SAPO with texts of language models that are not trained here.

Shapes: ``N`` agents, ``S`` sources of texts, ``Q`` questions of each, ``G`` responses to each,
``T`` tokens of a response.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, checks
from jaxswarm.data import tokenizers, verifiable
from jaxswarm.gossip import Traffic
from jaxswarm.language import TextFn
from jaxswarm.systems.sapo._packets import Packets, packet_bytes, token_bytes
from jaxswarm.systems.sapo._state import SAPO, SAPOInfo, SAPOState
from jaxswarm.types import Key


def text_packets(
    problems: verifiable.Problems,
    responses: Sequence[Sequence[str | None]],
    tokenizer: tokenizers.Tokenizer,
    *,
    max_new_tokens: int,
) -> Packets:
    r"""Make packets of questions and of responses that came as texts, on the host.

    Responses get an end token. A group in which a response is missing, empty, too long or has
    characters outside the vocabulary gets an empty mask, so that no receiver chooses it.

    Args:
        problems: ``Q`` questions with their answers, leaves ``[Q, ...]``.
        responses: ``G`` texts to each question, ``None`` where a call failed.
        tokenizer: of the receivers.
        max_new_tokens: ``T``, the end token included.

    Returns:
        Packets of one agent, leaves ``[Q, ...]``.

    Raises:
        ValueError: for arguments of another kind, or a number of responses that is not the same for
            every question.

    Example:
        >>> from jaxswarm.data import verifiable
        >>> from jaxswarm.systems import sapo
        >>> tokens = verifiable.tokenizer()
        >>> items = [verifiable.Item("3+4+5=", "7\n12", "12")]
        >>> problems = verifiable.to_arrays(items, tokens)
        >>> packets = sapo.text_packets(problems, [["7\n12", "11"]], tokens, max_new_tokens=6)
        >>> packets.tokens.shape, packets.well_formed.tolist()
        ((1, 2, 6), [True])
    """
    checks.instance("problems", problems, verifiable.Problems, "verifiable.to_arrays(items, …)")
    checks.instance("tokenizer", tokenizer, tokenizers.Tokenizer, "verifiable.tokenizer()")
    max_new_tokens = checks.whole("max_new_tokens", max_new_tokens, 1)
    count = len(np.asarray(problems.prompts))
    groups = list(responses) if isinstance(responses, Sequence) else None
    if groups is None or any(isinstance(x, str) or not isinstance(x, Sequence) for x in groups):
        raise ValueError(f"responses: expected lists of texts, got {checks.shown(responses)}")
    sizes = {len(group) for group in groups}
    if len(groups) != count or len(sizes) > 1 or min(sizes, default=0) < 2:
        raise ValueError(
            f"responses: expected {count} groups of the same number of at least two texts, got "
            f"{len(groups)} groups of {sorted(sizes)}"
        )
    size = sizes.pop()
    tokens = np.zeros((count, size, max_new_tokens), np.int32)
    mask = np.zeros(tokens.shape, bool)
    for place, group in enumerate(groups):
        for text in group:
            if text is not None:
                checks.instance("responses", text, str)
        if not all(group):
            continue
        try:
            found = tokenizers.encode_batch(
                tokenizer, [text or "" for text in group], length=max_new_tokens, end=True
            )
        except ValueError:  # too long, or characters outside the vocabulary
            continue
        tokens[place], mask[place] = found.tokens, found.mask
    asked, answers = (np.asarray(x, np.int32) for x in (problems.prompts, problems.answers))
    seen, lengths = np.asarray(problems.prompt_mask), np.asarray(problems.answer_lengths, np.int32)
    return Packets(asked, seen, answers, lengths, tokens, mask)


def round_with_texts(
    key: Key,
    learner: SAPO,
    state: SAPOState,
    problems: verifiable.Problems,
    sources: Sequence[TextFn],
    source_problems: verifiable.Problems,
    tokenizer: tokenizers.Tokenizer,
    *,
    prompt: Callable[[str], str] = str,
) -> tuple[SAPOState, SAPOInfo, Packets]:
    """Run a round in which other language models share responses as texts, on the host.

    The learner's agents sample and share as in :func:`sapo`. Each source answers questions of its
    own ``G`` times; its texts become packets that the agents verify, filter and learn from like
    those of one another. Sources learn nothing.

    Args:
        key: consumed.
        learner: of :func:`sapo` with ``external > 0``; no topology, no ``max_age``,
            ``ratio_mode="self"``.
        state: of ``N`` agents.
        problems: of the agents, leaves ``[N, Q, ...]``.
        sources: ``S >= 1`` functions from prompts to texts, such as
            ``language.openai_compatible(…)``.
        source_problems: of the sources, leaves ``[S, Q, ...]`` of the agents' lengths.
        tokenizer: of the agents' texts.
        prompt: what a source is asked, from the text of a question; the text itself by default.

    Returns:
        ``(state, info, packets)``; ``info.traffic`` counts what the agents sent to one another, and
        ``packets`` are those of the sources, leaves ``[S, Q, ...]``.

    Raises:
        ValueError: for arguments of another kind, shapes that do not fit, or a source that returns
            another number of texts.
    """
    checks.key(key)
    checks.instance("learner", learner, SAPO, "sapo.sapo(model, optimizer, reward, …)")
    checks.instance("state", state, SAPOState, "sapo(…).init(params)")
    if isinstance(sources, str) or not isinstance(sources, Sequence) or not sources:
        raise ValueError(f"sources: expected at least one function, got {checks.shown(sources)}")
    for source in sources:
        checks.function("sources", source)
    checks.instance("tokenizer", tokenizer, tokenizers.Tokenizer, "verifiable.tokenizer()")
    checks.function("prompt", prompt)
    _check_source_problems(source_problems, problems, len(sources))
    if state.packets is not None:
        raise ValueError("learner: expected one without max_age, got a state with a buffer")
    sample_key, update_key = jax.random.split(key)
    rewards, own = jax.jit(learner.sample)(sample_key, state, problems)
    if own.log_probs is not None:
        raise ValueError("learner: expected ratio_mode='self', got 'behaviour'")
    size, length = own.tokens.shape[-2:]
    made = []
    for index, source in enumerate(sources):
        asked = jax.tree.map(lambda x, index=index: np.asarray(x)[index], source_problems)
        rows = np.where(asked.prompt_mask, asked.prompts, tokenizers.PAD)
        questions = [prompt(text) for text in tokenizers.decode_batch(tokenizer, rows)]
        texts = list(source([question for question in questions for _ in range(size)]))
        if len(texts) != size * len(questions):
            raise ValueError(
                f"sources: expected {size * len(questions)} texts of source {index}, got "
                f"{len(texts)}"
            )
        groups = [texts[i : i + size] for i in range(0, len(texts), size)]
        made.append(text_packets(asked, groups, tokenizer, max_new_tokens=length))
    shared = jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *made)
    pool = jax.tree.map(lambda a, b: jnp.concatenate([a, b])[None], own, shared)
    n = agents.num_agents(state.params)
    present = jnp.ones((1, n + len(sources)), bool)
    state, info = jax.jit(learner.update)(update_key, state, own, rewards, pool, present)
    count = jnp.full(n, n - 1.0)
    bytes_sent = count * packet_bytes(own, token_bytes(tokenizer))
    return state, info._replace(traffic=Traffic(count, bytes_sent)), shared


def _check_source_problems(
    given: verifiable.Problems, problems: verifiable.Problems, num_sources: int
) -> None:
    for name, value in (("source_problems", given), ("problems", problems)):
        checks.instance(name, value, verifiable.Problems, "verifiable.to_arrays(items, …)")
    agents.check_leading_axis(given, num_sources, "source_problems")
    for name in ("prompts", "answers"):
        wanted = (num_sources, *np.shape(getattr(problems, name))[1:])
        found = np.shape(getattr(given, name))
        if found != wanted:
            raise ValueError(
                f"source_problems: expected {name} {list(wanted)} like the agents', got "
                f"{list(found)}"
            )
