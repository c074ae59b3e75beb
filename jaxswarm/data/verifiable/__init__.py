"""Tasks whose answers a program verifies: own generators, reasoning-gym, arrays and a verifier.

``verifiable.draw_items(verifiable.chain_sums(3), 100, seed=0)`` draws questions with solutions line
by line; ``to_arrays`` tokenizes them; ``exact_match`` verifies generated tokens inside ``jit``;
``with_mistakes`` makes noisy demonstrations. ``TASKS`` lists the tasks.
"""

from jaxswarm.data.verifiable._items import ALPHABET, Item, Task
from jaxswarm.data.verifiable._one_step import (
    counting,
    duplication,
    letter_shift,
    maximum,
    products,
    quotients,
    remainders,
)
from jaxswarm.data.verifiable._problems import (
    Problems,
    draw_items,
    exact_match,
    final_line,
    to_arrays,
    tokenizer,
    with_mistakes,
)
from jaxswarm.data.verifiable._reasoning_gym import from_reasoning_gym
from jaxswarm.data.verifiable._tasks import (
    TASKS,
    base_conversion,
    chain_sums,
    factoring,
    logic,
    modular_root,
    reversal,
    reverse_comparison,
    sorting,
)

__all__ = [
    "ALPHABET",
    "TASKS",
    "Item",
    "Problems",
    "Task",
    "base_conversion",
    "chain_sums",
    "counting",
    "draw_items",
    "duplication",
    "exact_match",
    "factoring",
    "final_line",
    "from_reasoning_gym",
    "letter_shift",
    "logic",
    "maximum",
    "modular_root",
    "products",
    "quotients",
    "remainders",
    "reversal",
    "reverse_comparison",
    "sorting",
    "to_arrays",
    "tokenizer",
    "with_mistakes",
]
