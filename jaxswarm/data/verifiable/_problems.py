"""Questions and solutions as padded arrays, wrong demonstrations, and a verifier inside ``jit``.

Shapes: ``M`` questions, ``P`` tokens of a question, ``S`` of a solution (its end token included),
``A`` of an answer (without), ``G`` responses to each question of ``T`` tokens.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.data import tokenizers
from jaxswarm.data.dataset import check_seed
from jaxswarm.data.verifiable._items import ALPHABET, Item, Task


class Problems(NamedTuple):
    """Questions, solutions and answers as arrays; axes such as agents' may stand before ``M``.

    Attributes:
        prompts: ``int32[M, P]``, the questions, padded at the right.
        prompt_mask: ``bool[M, P]``.
        solutions: ``int32[M, S]``, each with an end token.
        solution_mask: ``bool[M, S]``.
        answers: ``int32[M, A]``, without end token.
        answer_lengths: ``int32[M]``.
    """

    prompts: Any
    prompt_mask: Any
    solutions: Any
    solution_mask: Any
    answers: Any
    answer_lengths: Any


def tokenizer() -> tokenizers.Tokenizer:
    """The tokenizer of all tasks of this package, one token for each character.

    Example:
        >>> tokenizer().vocab_size
        35
    """
    return tokenizers.character(ALPHABET)


def draw_items(
    tasks: Task | Sequence[Task], num_items: int, seed: int, *, distinct: bool = False
) -> list[Item]:
    """Draw questions of one task, or of several in turn.

    Args:
        tasks: one or more.
        num_items: ``M >= 1``.
        seed: of the draws.
        distinct: whether no question may come twice.

    Raises:
        ValueError: for arguments out of range, or if the tasks have too few distinct questions.

    Example:
        >>> draw_items(Task("even", lambda rng: Item("2=", "2", "2"), "easy"), 2, seed=0)[1].answer
        '2'
    """
    tasks = [tasks] if isinstance(tasks, Task) else tasks
    if isinstance(tasks, str) or not isinstance(tasks, Sequence) or not tasks:
        raise ValueError(f"tasks: expected at least one Task, got {checks.shown(tasks)}")
    for task in tasks:
        checks.instance("tasks", task, Task, "verifiable.chain_sums()")
    num_items = checks.whole("num_items", num_items, 1)
    distinct = checks.flag("distinct", distinct)
    rng = np.random.default_rng(check_seed(seed))
    items: list[Item] = []
    seen: set[str] = set()
    refused = 0
    while len(items) < num_items:
        task = tasks[len(items) % len(tasks)]
        item = task.draw(rng)
        if distinct and item.question in seen:
            refused += 1
            if refused > 50 * num_items + 1000:
                raise ValueError(
                    f"num_items: expected at most about {len(items)} distinct questions of "
                    f"{task.name}, got {num_items}"
                )
            continue
        seen.add(item.question)
        items.append(item)
    return items


def to_arrays(
    items: Sequence[Item],
    text_tokenizer: tokenizers.Tokenizer,
    *,
    prompt_length: int | None = None,
    solution_length: int | None = None,
    answer_length: int | None = None,
) -> Problems:
    """Turn questions, solutions and answers into padded arrays of tokens.

    Args:
        items: at least one.
        text_tokenizer: of the texts.
        prompt_length: ``P``, the longest question's if ``None``.
        solution_length: ``S``, the longest solution's with its end token if ``None``.
        answer_length: ``A``, the longest answer's if ``None``.

    Raises:
        ValueError: without items, for empty answers, or texts that are too long or contain
            characters outside the vocabulary.

    Example:
        >>> from jaxswarm.data import verifiable
        >>> items = verifiable.draw_items(verifiable.chain_sums(3), 4, seed=0)
        >>> problems = verifiable.to_arrays(items, verifiable.tokenizer())
        >>> problems.prompts.shape, problems.solutions.shape
        ((4, 6), (4, 6))
    """
    items = _items(items)
    if not all(item.answer for item in items):
        raise ValueError("items: expected an answer of at least one character, got ''")
    encode = tokenizers.encode_batch
    prompts = encode(text_tokenizer, [item.question for item in items], length=prompt_length)
    texts = [item.solution for item in items]
    solutions = encode(text_tokenizer, texts, length=solution_length, end=True)
    answers = encode(text_tokenizer, [item.answer for item in items], length=answer_length)
    return Problems(
        prompts.tokens,
        prompts.mask,
        solutions.tokens,
        solutions.mask,
        answers.tokens,
        answers.lengths,
    )


def final_line(text: str) -> str:
    """The answer of a solution: what stands after its last newline."""
    return text.rpartition("\n")[2]


def with_mistakes(
    items: Sequence[Item],
    share: float,
    seed: int,
    *,
    mistake: Callable[[np.random.Generator, Item], str] | None = None,
) -> tuple[list[Item], np.ndarray]:
    """Give a share of demonstrations a wrong answer; their ``answer`` stays the right one.

    Args:
        items: at least one.
        share: of wrong demonstrations in ``[0, 1]``; ``round(share · M)`` of them.
        seed: of which, and of the mistakes.
        mistake: ``mistake(rng, item) -> solution`` whose last line must differ from the answer, for
            systematic errors. By default one character of the last line becomes another one that
            occurs in the last lines of the items.

    Returns:
        ``(items, wrong)`` with ``wrong: bool[M]``.

    Raises:
        ValueError: for arguments out of range, or a mistake that leaves the answer right.

    Example:
        >>> from jaxswarm.data import verifiable
        >>> items = verifiable.draw_items(verifiable.chain_sums(3), 8, seed=0)
        >>> noisy, wrong = verifiable.with_mistakes(items, 0.25, seed=1)
        >>> int(wrong.sum()), sum(verifiable.final_line(i.solution) != i.answer for i in noisy)
        (2, 2)
    """
    items = _items(items)
    share = float(checks.probability("share", share))
    rng = np.random.default_rng(check_seed(seed))
    symbols = sorted(set("".join(item.answer for item in items)))
    make = mistake
    if make is None:
        if len(symbols) < 2 and share > 0:
            raise ValueError(
                "items: expected at least two different characters in the answers, from which to "
                f"make mistakes, got {symbols}"
            )
        make = _substitution(symbols)
    else:
        checks.function("mistake", make)
    wrong = np.zeros(len(items), bool)
    wrong[rng.permutation(len(items))[: round(share * len(items))]] = True
    noisy = []
    for item, is_wrong in zip(items, wrong, strict=True):
        if is_wrong:
            solution = make(rng, item)
            if not isinstance(solution, str) or final_line(solution) == item.answer:
                raise ValueError(
                    f"mistake: expected a solution with another answer than {item.answer!r}, got "
                    f"{checks.shown(solution)}"
                )
            item = item._replace(solution=solution)
        noisy.append(item)
    return noisy, wrong


def exact_match(
    tokens: jax.Array,
    mask: jax.Array,
    answers: jax.Array,
    answer_lengths: jax.Array,
    *,
    separator: int,
    end: int = tokenizers.END,
) -> jax.Array:
    """Whether the last line of each response is the answer, token by token; runs inside ``jit``.

    A response without an end token is wrong.

    Args:
        tokens: responses ``int[..., T]``; axes that ``answers`` lacks, such as the ``G`` responses
            to each question, stand just before ``T``.
        mask: ``bool[..., T]``, tokens that are no padding.
        answers: ``int[M, A]``, or with leading axes like those of ``tokens``.
        answer_lengths: ``int[M]``.
        separator: the token between lines.
        end: the token that ends a response.

    Returns:
        ``bool[...]``.

    Raises:
        ValueError: for shapes that do not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> responses = jnp.array([[5, 2, 7, 1], [5, 7, 1, 0], [7, 5, 5, 5]])
        >>> answers, lengths = jnp.full((3, 1), 7), jnp.ones(3, int)
        >>> exact_match(responses, responses > 0, answers, lengths, separator=2).tolist()
        [True, False, False]
    """
    tokens, mask = jnp.asarray(tokens), jnp.asarray(mask)
    answers, lengths = jnp.asarray(answers), jnp.asarray(answer_lengths)
    separator, end = checks.whole("separator", separator), checks.whole("end", end)
    checks.mask("mask", mask, tokens.shape)
    leading = tokens.shape[:-1]
    if answers.ndim < 1 or answers.shape[:-1] != leading[: answers.ndim - 1]:
        raise ValueError(
            f"answers: expected the leading axes of tokens {tokens.shape}, got {answers.shape}"
        )
    if lengths.shape != answers.shape[:-1]:
        raise ValueError(
            f"answer_lengths: expected shape {answers.shape[:-1]}, got {lengths.shape}"
        )
    missing = len(leading) - lengths.ndim
    lengths = jnp.broadcast_to(lengths.reshape(*lengths.shape, *(1,) * missing), leading)
    answers = answers.reshape(*answers.shape[:-1], *(1,) * missing, answers.shape[-1])
    answers = jnp.broadcast_to(answers, (*leading, answers.shape[-1]))
    slots = jnp.arange(tokens.shape[-1]).reshape((1,) * len(leading) + (-1,))
    ends = mask & (tokens == end)
    stop = jnp.argmax(ends, axis=-1)[..., None]
    breaks = (tokens == separator) & (slots < stop)
    start = jnp.max(jnp.where(breaks, slots + 1, 0), axis=-1, keepdims=True)
    place = jnp.clip(slots - start, 0, answers.shape[-1] - 1)
    wanted = jnp.take_along_axis(answers, place, axis=-1)
    inside = (slots >= start) & (slots < stop)
    equal = jnp.all(~inside | (tokens == wanted), axis=-1)
    return jnp.any(ends, axis=-1) & ((stop - start)[..., 0] == lengths) & equal


def _items(items: Sequence[Item]) -> list[Item]:
    if isinstance(items, (str, Item)) or not isinstance(items, Sequence) or not items:
        raise ValueError(f"items: expected at least one Item, got {checks.shown(items)}")
    for item in items:
        checks.instance("items", item, Item, "verifiable.Item(question, solution, answer)")
    return list(items)


def _substitution(symbols: list[str]) -> Callable[[np.random.Generator, Item], str]:
    def mistake(rng: np.random.Generator, item: Item) -> str:
        last = list(final_line(item.solution))
        place = int(rng.integers(len(last)))
        others = [symbol for symbol in symbols if symbol != last[place]]
        last[place] = others[rng.integers(len(others))]
        return item.solution[: len(item.solution) - len(last)] + "".join(last)

    return mistake
