"""Questions of the package reasoning-gym, which generates and scores them on the host.

``pip install jaxswarm[language]`` installs it.

References:
    Z. Stojanovski et al., Reasoning Gym: reasoning environments for reinforcement learning with
    verifiable rewards, 2025.
"""

from collections.abc import Callable
from typing import Any

from jaxswarm import checks
from jaxswarm.data.dataset import check_seed
from jaxswarm.data.verifiable._items import Item


def from_reasoning_gym(
    name: str, num_items: int, seed: int, **options: Any
) -> tuple[list[Item], Callable[[int, str], float]]:
    """Draw questions of a data set of reasoning-gym, with the scorer of the library.

    Args:
        name: of the data set, such as ``"chain_sum"`` or ``"base_conversion"``.
        num_items: ``M >= 1``.
        seed: of the questions.
        **options: of the data set, see the documentation of reasoning-gym.

    Returns:
        ``(items, score)``. The solution of an item is its answer alone. ``score(i, text)`` is the
        library's score in ``[0, 1]`` of a response to item ``i``. A response that
        :func:`exact_match` accepts scores 1; some data sets give partial credit to others, or
        accept other forms of an answer (rounded decimals, fractions in LaTeX).

    Raises:
        ImportError: without the package reasoning-gym.
        ValueError: for an unknown data set, options that it does not have, or questions without a
            single answer.
    """
    checks.instance("name", name, str)
    num_items = checks.whole("num_items", num_items, 1)
    seed = check_seed(seed)
    try:
        import reasoning_gym  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError(
            "reasoning-gym is not installed: pip install 'jaxswarm[language]'"
        ) from error
    try:
        data = reasoning_gym.create_dataset(name, size=num_items, seed=seed, **options)
    except (TypeError, ValueError, AssertionError) as error:
        raise ValueError(f"name, options: reasoning-gym has no such data set: {error}") from error
    entries = [data[i] for i in range(num_items)]
    if any(entry["answer"] is None for entry in entries):
        raise ValueError(
            f"name: expected a data set with one answer to each question, got {name!r}"
        )
    items = [Item(e["question"], str(e["answer"]), str(e["answer"])) for e in entries]

    def score(index: int, text: str) -> float:
        index = checks.index("index", index, num_items)
        return float(data.score_answer(answer=text, entry=entries[index]))

    return items, score
