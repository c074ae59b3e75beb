"""Claims, committees and tolerances of the generative consensus experiment."""

import numpy as np
import pytest

from experiments.generative_consensus import comparisons, language, training
from experiments.generative_consensus.claims import exact_share
from experiments.generative_consensus.config import Config
from jaxswarm.trust import consensus


def test_impostors_are_all_other_jobs_of_the_same_digit():
    labels = np.repeat(np.arange(3), 4)
    jobs = np.array([0, 1, 4, 5, 6, 8])
    claimed, asked = comparisons.impostor_pairs(jobs, labels)
    wanted = {(a, b) for a in jobs for b in jobs if a != b and labels[a] == labels[b]}
    assert set(zip(claimed.tolist(), asked.tolist(), strict=True)) == wanted
    assert len(claimed) == len(wanted)


def test_no_profile_verifies_itself_and_all_are_drawn_alike():
    jobs = np.arange(3_000)
    votes = comparisons.draw_votes(np.random.default_rng(0), jobs, jobs, 5)
    together = np.concatenate([votes.prover[None], votes.verifiers])
    assert together.shape == (4, 3_000)
    assert (np.sort(together, axis=0)[1:] > np.sort(together, axis=0)[:-1]).all()
    shares = np.stack([np.bincount(row, minlength=5) for row in together]) / 3_000
    np.testing.assert_allclose(shares, 0.2, atol=0.04)


@pytest.fixture(scope="module")
def outputs():
    """Prints of two profiles, of which the second is brighter; the last image is constant."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 200, (3, 32, 32)).astype(np.uint8)
    pixels[2] = 7
    each = [pixels, pixels + np.array([[[3]]], np.uint8)]
    return comparisons.stacked([comparisons.prints(x / np.float32(127.5) - 1.0, x) for x in each])


def test_what_cannot_be_verified_never_matches(outputs):
    jobs = np.arange(3)
    votes = comparisons.Votes(jobs, jobs, np.zeros(3, int), np.ones((1, 3), int))
    apart = {m: comparisons.vote_distances(m, outputs, votes)[0] for m in comparisons.METHODS}
    for method in comparisons.PERCEPTUAL:
        assert apart[method][2] == comparisons.NEVER
    np.testing.assert_allclose(apart[comparisons.PIXELS], 3.0, rtol=1e-5)
    assert (apart["phash"][:2] <= 2).all()
    for method in comparisons.EXACT:
        assert (apart[method] > 0).all()


def test_bounds_of_a_share_are_exact():
    found = exact_share(np.array([0, 100]), errors=True, seeds=3)
    assert found.value == 0.0
    assert found.interval[1] == pytest.approx(1 - 0.025 ** (1 / 100))
    assert exact_share(np.array([1, 100]), errors=False, seeds=3).value == 0.99


def test_updates_are_judged_on_the_second_half_by_a_majority():
    honest = np.full((2, 4, 3), 0.1)
    cheat = np.full((2, 4, 3), 0.5)
    cheat[:, 2, :2] = 0.12  # two of three verifiers accept one of the two updates that count
    results = {"honest": honest, training.ROUNDED: cheat}
    results |= dict.fromkeys(training.CHEATS, cheat)
    found = training.accept_updates(results)
    assert found["tolerance"] == pytest.approx(0.15)
    assert found["honest"].tolist() == [1.0, 1.0]
    assert found[training.ROUNDED].tolist() == [0.5, 0.5]


def test_failures_of_decoders_carry_their_margin():
    logits = np.zeros((2, 2, 3), np.float32)
    logits[1, 1] = [2.0, 5.0, 4.0]
    same = consensus.agree([[1, 1], [2, 1]], [[1, 1], [2, 2]], logits=logits)
    assert language._failures(4, same).tolist() == [[4.0, 1.0, 1.0, 1.0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": "cifar"}, "data"),
        ({"generators": ("gan",)}, "generators"),
        ({"per_class": 5}, "per_class"),
        ({"sampler_steps": 6}, "sampler_steps"),
        ({"every": 7}, "chunk"),
        ({"replica_steps": 150}, "replica_steps"),
        ({"replica_batch": 6}, "replica_batch"),
        ({"seeds": 1}, "seeds"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Config(**change)
