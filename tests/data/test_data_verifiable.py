"""Verifiable tasks: right solutions, the verifier against a host oracle, mistakes, bad input."""

import importlib.util
import itertools
import sys

import jax
import numpy as np
import pytest

from jaxswarm.data import tokenizers, verifiable
from tests.bad_input import FLAG, NAN, OBJECT, SEED, SHARE, SIZE, Call, cases, refuses

TOKENIZER = verifiable.tokenizer()
NEWLINE = TOKENIZER.token("\n")
ITEMS = {name: verifiable.draw_items(make(), 40, seed=1) for name, make in verifiable.TASKS.items()}
match = jax.jit(
    lambda tokens, mask, answers, lengths: verifiable.exact_match(
        tokens, mask, answers, lengths, separator=NEWLINE
    )
)


def right_answer(name, question):
    """A second solution of each task, by Python's own means."""
    text = question[:-1]
    if name == "chain_sums":
        return str(eval(text))
    if name == "base_conversion":
        number, base = map(int, text.split("b"))
        return np.base_repr(number, base)
    if name == "sorting":
        return "".join(sorted(text[1:]))
    if name == "logic":
        formula = text.replace("!", " not ").replace("&", " and ").replace("|", " or ")
        return str(int(eval(formula)))
    if name == "reversal":
        return text[:0:-1]
    if name == "reverse_comparison":
        a, b = text.split("?")
        return str(int(a == b[::-1]))
    if name == "modular_root":
        square, prime = map(int, text.split("%"))
        return str(min(x for x in range(prime) if (x * x - square) % prime == 0))
    if name == "products" or name == "remainders":
        return str(eval(text))
    if name == "quotients":
        return str(eval(text.replace("/", "//")))
    if name == "duplication":
        return f"{text[1:]}{text[1:]}"
    if name == "counting":
        letter, _, letters = text.partition("!")
        return str(sum(other == letter for other in letters))
    if name == "letter_shift":
        return text[1:].translate(str.maketrans("abcdefgh", "bcdefgha"))
    if name == "maximum":
        return sorted(text[1:])[-1]
    product = int(text[:-2])
    return str(min(d for d in range(2, product + 1) if product % d == 0))


@pytest.mark.parametrize("name", list(verifiable.TASKS))
def test_solutions_are_right(name):
    for item in ITEMS[name]:
        assert item.answer == right_answer(name, item.question)
        assert verifiable.final_line(item.solution) == item.answer
        assert set(item.question + item.solution) <= set(verifiable.ALPHABET)
    assert len({item.question for item in ITEMS[name]}) > 5
    assert verifiable.draw_items(verifiable.TASKS[name](), 40, seed=1) == ITEMS[name]


def test_every_line_of_a_formula_has_the_same_truth():
    for item in ITEMS["logic"]:
        values = {right_answer("logic", line + "=") for line in item.solution.split("\n")}
        assert values == {item.answer}


def test_steps_of_other_tasks():
    for item in ITEMS["chain_sums"]:
        terms = [int(t) for t in item.question[:-1].split("+")]
        lines = [int(line) for line in item.solution.split("\n")]
        assert lines == [sum(terms[: i + 1]) for i in range(1, len(terms))]
    for item in ITEMS["modular_root"]:
        square, prime = map(int, item.question[:-1].split("%"))
        *tried, root = map(int, item.solution.split("\n"))
        assert tried == [x * x % prime for x in range(1, root + 1)]
        assert tried[-1] == square


def test_knobs_make_tasks_longer():
    for easy, hard in (
        (verifiable.chain_sums(2), verifiable.chain_sums(5)),
        (verifiable.base_conversion(1), verifiable.base_conversion(4)),
        (verifiable.sorting(3), verifiable.sorting(7)),
        (verifiable.logic(1), verifiable.logic(5)),
        (verifiable.reversal(3), verifiable.reversal(6)),
        (verifiable.modular_root((3,)), verifiable.modular_root((29, 31))),
    ):
        lengths = [
            np.mean([len(item.solution) for item in verifiable.draw_items(task, 20, 0)])
            for task in (easy, hard)
        ]
        assert lengths[0] < lengths[1]
    kinds = {make().verification for make in verifiable.TASKS.values()}
    assert kinds == {"easy", "hard"}


def test_distinct_questions():
    items = verifiable.draw_items(verifiable.chain_sums(2), 90, 0, distinct=True)
    assert len({item.question for item in items}) == 90
    with pytest.raises(ValueError, match="num_items: expected at most about"):
        verifiable.draw_items(verifiable.chain_sums(2), 101, 0, distinct=True)


def test_arrays_hold_the_texts():
    tasks = [make() for make in verifiable.TASKS.values()]
    items = verifiable.draw_items(tasks, 32, seed=3)
    problems = verifiable.to_arrays(items, TOKENIZER, solution_length=40)
    assert problems.solutions.shape[1] == 40
    texts = tokenizers.decode_batch(TOKENIZER, problems.solutions)
    assert texts == [item.solution for item in items]
    assert tokenizers.decode_batch(TOKENIZER, problems.prompts) == [i.question for i in items]
    assert ((problems.solutions == tokenizers.END).sum(1) == 1).all()
    answers = [row[:n] for row, n in zip(problems.answers, problems.answer_lengths, strict=True)]
    assert [TOKENIZER.decode(row) for row in answers] == [item.answer for item in items]


def test_the_verifier_is_the_comparison_of_texts():
    """Right, wrong, longer, unterminated and random responses, several to each question."""
    rng = np.random.default_rng(0)
    items = list(itertools.chain.from_iterable(ITEMS.values()))
    problems = verifiable.to_arrays(items, TOKENIZER)
    length = problems.solutions.shape[1] + 2
    groups = []
    for item in items:
        other = items[rng.integers(len(items))]
        texts = [
            item.solution,
            item.answer,
            "\n" + item.answer,
            item.solution + "\n",
            item.solution + "0",
            item.answer[:-1],
            other.solution,
            "".join(rng.permutation(list(item.solution))),
            "",
        ]
        groups.append(texts)
    encoded = [
        tokenizers.encode_batch(TOKENIZER, texts, length=length, end=True) for texts in groups
    ]
    tokens, mask = (np.stack([e[i] for e in encoded]) for i in (0, 1))
    found = match(tokens, mask, problems.answers, problems.answer_lengths)
    wanted = [
        [verifiable.final_line(text) == item.answer for text in texts]
        for item, texts in zip(items, groups, strict=True)
    ]
    np.testing.assert_array_equal(found, wanted)
    assert 0.3 < np.mean(wanted) < 0.6
    open_ended = np.where(tokens == tokenizers.END, 0, tokens)
    assert not match(open_ended, mask, problems.answers, problems.answer_lengths).any()
    after = np.where(mask, tokens, NEWLINE)  # what stands after the end does not count
    again = match(after, mask, problems.answers, problems.answer_lengths)
    np.testing.assert_array_equal(again, wanted)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_mistakes(share):
    items = list(itertools.chain.from_iterable(ITEMS.values()))
    noisy, wrong = verifiable.with_mistakes(items, share, seed=2)
    assert wrong.sum() == round(share * len(items))
    for item, after, bad in zip(items, noisy, wrong, strict=True):
        assert (after.question, after.answer) == (item.question, item.answer)
        assert (verifiable.final_line(after.solution) != item.answer) == bad
        assert bad or after == item


def test_systematic_mistakes():
    def drop_carry(rng, item):
        return f"{item.solution}\n{int(item.answer) % 10 + 100}"

    noisy, wrong = verifiable.with_mistakes(ITEMS["chain_sums"], 0.5, 0, mistake=drop_carry)
    assert all(item.solution.count("\n") == 1 + bad for item, bad in zip(noisy, wrong, strict=True))
    with pytest.raises(ValueError, match="mistake: expected a solution with another answer"):
        verifiable.with_mistakes(
            ITEMS["chain_sums"], 0.5, 0, mistake=lambda rng, item: item.solution
        )


ACCEPT_OTHER_FORMS = ("decimal_arithmetic", "fraction_simplification")
"""Families whose scorers accept rounded numbers or LaTeX, too."""


@pytest.mark.skipif(
    importlib.util.find_spec("reasoning_gym") is None,
    reason="reasoning-gym is not installed (extra: language)",
)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("chain_sum", {"min_terms": 2, "max_terms": 3, "min_digits": 1, "max_digits": 2}),
        ("base_conversion", {"max_value": 500}),
        ("basic_arithmetic", {"max_terms": 3, "max_digits": 2}),
        ("decimal_arithmetic", {}),
        ("calendar_arithmetic", {}),
        ("fraction_simplification", {}),
    ],
)
def test_the_verifier_agrees_with_the_scorer_of_reasoning_gym(name, options):
    items, score = verifiable.from_reasoning_gym(name, 12, seed=4, **options)
    text = tokenizers.character([f"{i.question}{i.answer}\nx9" for i in items])
    problems = verifiable.to_arrays(items, text)
    others = [items[(i + 1) % len(items)].answer for i in range(len(items))]
    for make in (
        lambda i: items[i].answer,
        lambda i: others[i],
        lambda i: items[i].answer + "9",
        lambda i: "x",
    ):
        responses = [make(i) for i in range(len(items))]
        width = max(map(len, responses)) + 1
        encoded = tokenizers.encode_batch(text, responses, end=True, length=width)
        found = verifiable.exact_match(
            encoded.tokens,
            encoded.mask,
            problems.answers,
            problems.answer_lengths,
            separator=text.token("\n"),
        )
        scores = np.array([score(i, response) == 1.0 for i, response in enumerate(responses)])
        if name in ACCEPT_OTHER_FORMS:  # but every exact match scores 1
            scores &= np.array([r == item.answer for r, item in zip(responses, items, strict=True)])
        np.testing.assert_array_equal(found, scores)


def test_the_extra_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)  # importing it fails
    with pytest.raises(ImportError, match=r"jaxswarm\[language\]"):
        verifiable.from_reasoning_gym("chain_sum", 1, 0)


T = np.array([[3, 1], [4, 1]], np.int32)
MANY = ITEMS["chain_sums"]
BAD_ITEMS = (3, None, "x", [], [3], MANY[0])
PRIMES = ([], [4], [1], [2.5], "7", [NAN], [[7]])
CALLS = {
    "chain_sums": Call(verifiable.chain_sums, {}, {"num_terms": (1, *SIZE), "digits": SIZE}),
    "base_conversion": Call(
        verifiable.base_conversion,
        {},
        {"digits": SIZE, "bases": ([], [1], [11], [2.5], "2", 2, [[2]])},
    ),
    "sorting": Call(verifiable.sorting, {}, {"length": (1, *SIZE), "num_symbols": (1, 9, *SIZE)}),
    "logic": Call(verifiable.logic, {}, {"num_connectives": SIZE}),
    "reversal": Call(verifiable.reversal, {}, {"length": (1, *SIZE), "num_symbols": (9, *SIZE)}),
    "reverse_comparison": Call(
        verifiable.reverse_comparison, {}, {"length": (1, *SIZE), "num_symbols": (9, *SIZE)}
    ),
    "modular_root": Call(verifiable.modular_root, {}, {"primes": (*PRIMES, [2])}),
    "factoring": Call(verifiable.factoring, {}, {"primes": PRIMES}),
    "products": Call(verifiable.products, {}, {"digits": SIZE}),
    "counting": Call(
        verifiable.counting, {}, {"length": (1, 10, *SIZE), "num_symbols": (9, *SIZE)}
    ),
    "letter_shift": Call(
        verifiable.letter_shift, {}, {"length": (1, *SIZE), "num_symbols": (9, *SIZE)}
    ),
    "maximum": Call(verifiable.maximum, {}, {"length": (1, *SIZE)}),
    "draw_items": Call(
        verifiable.draw_items,
        {"tasks": verifiable.logic(), "num_items": 2, "seed": 0},
        {"tasks": ([], "x", 3, None, [3]), "num_items": SIZE, "seed": SEED, "distinct": FLAG},
    ),
    "to_arrays": Call(
        verifiable.to_arrays,
        {"items": MANY, "text_tokenizer": TOKENIZER},
        {
            "items": (*BAD_ITEMS, [verifiable.Item("1=", "", "")]),
            "text_tokenizer": OBJECT,
            "prompt_length": (2, 0, 2.5, "3"),
            "solution_length": (2, 0, 2.5, "3"),
            "answer_length": (1, 0, 2.5, "3"),
        },
        {
            "text_tokenizer": "tokenizer",
            "prompt_length": "length",
            "solution_length": "length",
            "answer_length": "length",
        },
    ),
    "with_mistakes": Call(
        verifiable.with_mistakes,
        {"items": MANY, "share": 0.5, "seed": 0},
        {
            "items": (*BAD_ITEMS, [verifiable.Item("1=", "1", "1")]),
            "share": SHARE,
            "seed": SEED,
            "mistake": (3, "x"),
        },
    ),
    "exact_match": Call(
        verifiable.exact_match,
        {
            "tokens": T,
            "mask": T > 0,
            "answers": T[:, :1],
            "answer_lengths": np.ones(2, int),
            "separator": 2,
        },
        {
            "mask": (T, T[0] > 0),
            "answers": (T[:1], np.ones((3, 1), int)),
            "answer_lengths": (np.ones(3, int), 1),
            "separator": (-1, 2.5, "x", None),
            "end": (-1, 2.5, "x", None),
        },
    ),
}


@pytest.mark.parametrize(("name", "argument"), cases(CALLS))
def test_bad_input_is_refused_by_name(name, argument):
    refuses(CALLS[name], argument)
