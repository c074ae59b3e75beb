"""Parts of the KNEXA-FL experiment: its skills, which agent keeps which, private data."""

import dataclasses

import numpy as np
import pytest

from experiments.knexa_fl import skills
from experiments.knexa_fl.config import NUM_SKILLS, SCALES
from jaxswarm.data import tokenizers

CONFIG = dataclasses.replace(SCALES["smoke"], agents=6, seeds=3)


@pytest.fixture(scope="module")
def questions():
    return skills.draw_questions(CONFIG)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("copy", "hab"), ("reversal", "bah"), ("rotation to the left", "abh"),
        ("rotation to the right", "bha"), ("swap of the first two", "ahb"),
        ("swap of the last two", "hba"), ("successor", "abc"), ("predecessor", "gha"),
        ("ascending", "abh"), ("descending", "hba"), ("first, repeated", "hhh"),
        ("last, repeated", "bbb"),
    ],
)  # fmt: skip
def test_answers_of_the_skills(name, answer):
    assert skills.TRANSFORMATIONS[name]("hab") == answer


def test_agents_keep_six_three_or_one_skill_of_one_side():
    known = skills.deal_skills(CONFIG)
    assert sorted(known[0].sum(axis=1)) == sorted(skills.KNOWN)
    for seed in known:
        most = seed[seed.sum(axis=1) == 6]
        assert len(most) == 2
        assert (most.sum(axis=0) == 1).all()
        assert all((row <= most[0]).all() or (row <= most[1]).all() for row in seed)
    assert (known[0] != known[1]).any()


def test_parts_share_no_question(questions):
    parts = [{item.question for skill in questions.train for item in skill}]
    for problems in (questions.transfer, questions.validation, questions.test):
        parts.append(set(tokenizers.decode_batch(skills.TEXT, np.asarray(problems.prompts))))
    assert len(set.union(*parts)) == sum(map(len, parts))
    assert len(parts[0]) == NUM_SKILLS * skills.DRAWN


def test_private_data_are_of_the_skills_that_agents_keep(questions):
    known = skills.deal_skills(CONFIG)
    private, histogram = skills.deal_private(CONFIG, questions, known)
    assert private.prompts.shape[:3] == (3, 6, CONFIG.private)
    np.testing.assert_allclose(histogram.sum(axis=-1), 1.0)
    assert not histogram[~known].any()
