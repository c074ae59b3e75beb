"""Worlds and data of the Fortytwo experiment: disjoint splits, beliefs, the judges' format."""

from typing import Any, cast

import numpy as np
import pytest

from experiments.fortytwo import aggregate, attacks, data, judging, models, tasks
from experiments.fortytwo.config import SCALES, Config
from jaxswarm.data import tokenizers
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
    arrays = data.to_arrays([row])
    parts = [
        tokenizers.encode_batch(tasks.TOKENIZER, [text], length=length)
        for text, length in zip(row[:3], (tasks.QUESTION, tasks.SHOWN, tasks.SHOWN), strict=True)
    ]
    prompts, mask = fortytwo.judge_prompts(
        data.FORM, *(x for part in parts for x in (part.tokens, part.mask))
    )
    # Apart from padding, over which models skip: of texts behind an answer there are none.
    given = arrays.prompts[arrays.prompt_mask]
    np.testing.assert_array_equal(given, np.asarray(prompts)[np.asarray(mask)])
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


def test_the_answer_stands_before_the_text_that_addresses_the_judge():
    worlds = [WORLD] * CONFIG.seeds
    plain, attack = (
        attacks._wrong_answers(CONFIG, worlds, "test", [text] * CONFIG.seeds, 4)
        for text in ("", "!A")
    )
    assert tasks.TOKENIZER.decode(attack[0, 0][attack[0, 0] >= 0])[-2:] == "!A"
    np.testing.assert_array_equal(judging.parsed(attack), plain)
    both = np.stack([plain, attack], axis=1)
    np.testing.assert_array_equal(aggregate.texts_of(both)[..., 1], 1)
    np.testing.assert_array_equal(aggregate.classes_of(judging.parsed(both)), 0)


class CountingPrograms:
    """Judges that prefer the reply with the smaller first token, and count their rows."""

    def __init__(self):
        self.rows = 0

    def judge(self, params, mark, tokens, mask, first, second):
        self.rows += len(np.unique(np.concatenate([tokens, first, second], axis=1), axis=0))
        better = np.where(first[:, 0] < second[:, 0], 1, -1)
        return np.stack([better, better], axis=1), np.full((len(first), 2), 6)


def test_judgements_of_equal_pairs_are_shared_and_do_not_depend_on_their_order():
    config = Config(seeds=1, nodes=3, widths=(8,), heads=(1,), sizes=(2,), block=4)
    programs = CountingPrograms()
    asked = np.arange(10).reshape(1, 2, 5)
    questions = data.Questions(asked, asked >= 0, asked, None)
    pools = models.Pools(cast(Any, [programs]), [{}] * 3)
    judgements = judging.Judgements(config, pools, questions)
    replies = np.array([[[3, -1], [4, -1]], [[5, -1], [4, -1]], [[3, -1], [4, -1]]])[None]
    texts, tables = judgements.tables(replies)
    assert texts.tolist() == [[[0, 1, 0], [0, 0, 0]]]
    assert tables[0, 0, :, 0, 1].tolist() == [1, 1, 1]
    assert tables[0, 0, :, 1, 0].tolist() == [-1, -1, -1]
    assert not tables[0, 1].any()
    assert (judgements.judged, judgements.tokens, programs.rows) == (1, 6.0, 3)
    turned, again = judgements.tables(replies[:, [1, 0, 2]])
    assert turned.tolist() == [[[0, 1, 1], [0, 0, 0]]]
    assert again[0, 0, :, 0, 1].tolist() == [-1, -1, -1]
    assert judgements.judged == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sizes": (8,)}, "sizes: expected numbers"),
        ({"heads": (2,)}, "heads: expected one number"),
        ({"ablation": 193}, "ablation: expected 1 to 192"),
    ],
)
def test_config_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        Config(**change)
