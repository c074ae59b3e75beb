"""Worlds and data of the Fortytwo experiment: disjoint splits, beliefs, the judges' format."""

import numpy as np
import pytest

from experiments.fortytwo import aggregate, pool, tasks
from experiments.fortytwo.config import SCALES, Config
from jaxswarm.systems import fortytwo

CONFIG = SCALES["smoke"]
WORLD = tasks.draw_world(CONFIG, 0)


def test_splits_are_disjoint_and_test_facts_are_in_no_calibration():
    texts = [x for split in WORLD.texts.values() for x in split]
    assert len(texts) == len(set(texts))
    facts = {split: {x[:2] for x in questions} for split, questions in WORLD.facts.items()}
    assert not facts["test"] & (facts["calibration"] | facts["admission"])


def test_the_clique_shares_its_wrong_rule_and_others_do_not():
    count = round(CONFIG.clique * CONFIG.nodes)
    wrong = [{a for a, rule in node.rules.items() if rule == "back"} for node in WORLD.nodes]
    assert all(letters == wrong[0] and letters for letters in wrong[:count])
    assert not any(wrong[count:])
    assert tasks.right_answer(WORLD, "rotation", "abcd") == "bcda"
    letter = next(iter(wrong[0]))
    assert tasks.belief(WORLD.nodes[0], "rotation", f"{letter}bcd") == f"d{letter}bc"


def test_training_prompts_are_those_of_the_judge():
    row = (">abcd=", "bcda", "dabc", "!", "bcdaA")
    arrays = pool._arrays([row])
    encode = pool.tokenizers.encode_batch
    parts = [
        encode(tasks.TOKENIZER, [text], length=length)
        for text, length in zip(row[:3], (tasks.QUESTION, tasks.REPLY, tasks.REPLY), strict=True)
    ]
    prompts, mask = fortytwo.judge_prompts(
        pool.FORM, *(x for part in parts for x in (part.tokens, part.mask))
    )
    np.testing.assert_array_equal(arrays.prompts, prompts)
    np.testing.assert_array_equal(arrays.prompt_mask, mask)
    assert tasks.TOKENIZER.decode(arrays.solutions[0]) == "bcdaA"


def test_equal_answers_are_not_judged_and_judge_accuracy_counts_the_rest():
    rounds = fortytwo.Round(
        classes=np.array([[[0, 0, 2]]]),
        first=np.array([[[[0], [0], [1]]]]),
        second=np.array([[[[1], [2], [2]]]]),
        verdicts=np.array([[[[[1, 1]], [[1, 1]], [[-1, 1]]]]]),
    )
    settled = aggregate.without_equal(rounds)
    assert settled.verdicts[0, 0, :, 0].tolist() == [[0, 0], [1, 1], [-1, 1]]
    right = np.array([[[True, True, False]]])
    good, counts = aggregate.judge_accuracy(settled, right)
    assert (good & counts).sum(2).tolist() == [[0, 2, 1]]
    assert counts.sum(2).tolist() == [[0, 2, 2]]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"block": 100}, "block: expected a divisor"), ({"sizes": (8,)}, "sizes: expected numbers")],
)
def test_config_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        Config(**change)
