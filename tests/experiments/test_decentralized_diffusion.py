"""Training of one arm of the decentralized-diffusion experiment, and sizes that do not fit."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from experiments.decentralized_diffusion.config import Config
from experiments.decentralized_diffusion.grid import FULL, _by_size
from experiments.decentralized_diffusion.training import _program, distill, sample, train
from jaxswarm.models import flow

CONDITION = np.zeros((1, 12), np.int32)


def test_clusters_are_numbered_by_size():
    clusters = np.array([[2, 2, 2, 0, 1, 1], [0, 1, 2, 2, 1, 2]])
    np.testing.assert_array_equal(_by_size(clusters), [[2, 2, 2, 0, 1, 1], [0, 1, 2, 2, 1, 2]])
    np.testing.assert_array_equal(_by_size(np.array([[0, 0, 1]])), [[1, 1, 0]])


def test_programs_of_unequal_experts_can_be_keys():
    """Arms that share a program are sampled by one thread."""
    networks = tuple(flow.MLP(width=width, depth=1, num_classes=1) for width in (4, 8))
    program = _program(networks, networks[0], (2,), 1, 2, 8, 3, "velocity", None)
    assert len({program, program}) == 1


@pytest.mark.slow  # compiles six programs
def test_experts_of_unequal_size_and_a_student_are_trained_and_sampled():
    keys = jax.vmap(jax.random.key)(np.arange(1))
    x = np.random.default_rng(0).normal(size=(1, 40, 2)).astype(np.float32)
    labels = np.zeros((1, 40), np.int32)
    small, large = (flow.MLP(width=width, depth=1, num_classes=1) for width in (4, 8))

    def arm(network: nn.Module | tuple[nn.Module, ...], clusters: np.ndarray):
        return train(
            keys, network, small, x, labels, clusters, num_classes=1, batch=8, steps=3, lr=1e-2,
            slots=40,
        )  # fmt: skip

    experts = arm((small, large), (np.arange(40) % 2)[None])
    one = arm(large, np.zeros((1, 40), int))
    assert [leaf.shape[:2] for leaf in jax.tree.leaves(experts.ensemble.params)[:1]] == [(1, 1)]
    assert len(experts.ensemble.models) == 2
    student = distill(keys, experts, one, batch=4, steps=3, lr=1e-2)
    assert student.num_experts == one.num_experts == 1
    assert np.isfinite(student.loss).all()
    lost = {"available": np.array([[True, False]])}
    alone = sample(
        keys, experts, 12, CONDITION, num_steps=2, mode="oracle",
        per_seed={"expert": np.zeros((1, 12), np.int32)},
    )  # fmt: skip
    without = sample(keys, experts, 12, CONDITION, num_steps=2, per_seed=lost, **FULL)
    np.testing.assert_allclose(without, alone, atol=1e-5)
    assert sample(keys, student, 12, CONDITION, num_steps=2).shape == (1, 12, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"expert_widths": (8, 8)}, "expert_widths: expected none or 8 widths"),
        ({"batch": 250}, "batch: expected a multiple of experts=8"),
        ({"batch": 6, "experts": 2}, "batch: expected a multiple of 4"),
        ({"image_experts": (2, 4)}, "image_experts: expected ascending numbers from 1"),
        ({"modes": ("full",)}, "modes: expected full, top-1 and others"),
        ({"image_modes": ("top-1", "oracle")}, "image_modes: expected top-1 and others"),
        ({"classes": 7}, "classes: expected a divisor of 64 modes"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Config(**change)
