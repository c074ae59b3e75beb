"""Parts of the SAPO experiment: its questions, the measures of its claims, its configuration."""

import numpy as np
import pytest

from experiments import harness
from experiments.sapo import claims, models
from experiments.sapo.config import SCALES, Config, ratio_name
from jaxswarm.data import tokenizers


def test_training_and_held_out_questions_are_different_and_in_turn():
    data = models.draw_data(SCALES["smoke"])
    texts = [
        tokenizers.decode_batch(models.TOKENIZER, np.asarray(part.prompts))
        for part in (data.training, data.held_out)
    ]
    assert not set(texts[0]) & set(texts[1])
    assert [text[0] for text in texts[0][:4]] == [">", "<", "%", "+"]
    wrong = (np.asarray(data.demonstrations.solutions) != data.training.solutions).any(1)
    assert wrong.sum() == round(SCALES["smoke"].mistakes * SCALES["smoke"].pool)


@pytest.mark.parametrize("name", models.FAMILIES)
def test_answers_of_the_families(name):
    task = dict(zip(models.FAMILIES, models.families(), strict=True))[name]
    item = task.draw(np.random.default_rng(0))
    text = item.question[1:-1]
    expected = {
        "reversal": text[::-1],
        "sorting": "".join(sorted(text)),
        "rotation": text[1:] + text[:1],
        "successor": text.translate(str.maketrans("abcdefgh", "bcdefgha")),
    }
    assert item.answer == item.solution == expected[name]


def test_only_families_that_were_not_fine_tuned_on_count_as_learned():
    config = Config(agents=2)
    passed = np.zeros((2, 2, 4))
    passed[0, 0, [0, 1]] = passed[0, 1, [2, 3]] = 1.0  # what they know
    passed[1, 0, 2] = passed[1, 1, 0] = 0.06  # what they do not know
    np.testing.assert_allclose(claims.learned(config, {"passed": passed}), [0.0, 0.5])


def test_sampling_alone_is_an_oscillation_of_one():
    config = Config()
    size = config.agents * config.questions * config.samples
    rng = np.random.default_rng(0)
    reward = rng.binomial(size, 0.2, (4, 2000)) / size
    found = claims.oscillation(config, {"reward": reward})
    np.testing.assert_allclose(found, 1.0 - 1.0 / claims.WINDOW, atol=0.1)
    swings = reward + 0.1 * np.sin(np.arange(2000))
    assert (claims.oscillation(config, {"reward": swings}) > 3).all()


def test_gains_are_ratios_of_each_seed():
    found = {"a": {"reward": np.array([[2.0, 2.0], [3.0, 0.0]])}, "b": {"reward": np.ones((2, 2))}}
    assert claims.gain(found, "a", "b").value == pytest.approx((1.0 + 0.5) / 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"agents": 3}, "agents: expected an even number"),
        ({"questions": 6}, "questions, pool, held_out: expected multiples of 4"),
        ({"external": (2, 6)}, "external: expected numbers between 0 and 8, 4 among them"),
        ({"junk": 4}, "junk: expected fewer than 4"),
    ],
)
def test_the_configuration_refuses_what_the_arms_cannot_run(changes, message):
    with pytest.raises(ValueError, match=message):
        Config(**changes)


def test_every_arm_of_the_full_scale_has_a_name():
    config = harness.load("sapo").SCALES["full"]
    assert [claims.label(ratio_name(config, j)) for j in (0, *config.external)] == [
        "8/0", "6/2", "4/4", "2/6",
    ]  # fmt: skip
