"""Mutual information between workers and task types against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from jaxswarm import coordination


def test_specialists_have_all_information_and_generalists_none():
    assert coordination.role_information([0, 1, 0, 1], [0, 1, 0, 1], 2, 2) == (1.0, 0.0)
    assert coordination.role_information([0, 0, 1, 1], [0, 1, 0, 1], 2, 2) == (0.0, 1.0)


def test_it_is_scikit_learns_mutual_information_and_ignores_what_was_not_executed():
    rng = np.random.default_rng(0)
    worker, kind = rng.integers(-1, 4, (20, 10)), rng.integers(0, 3, (20, 10))
    found = coordination.role_information(worker, kind, 4, 3)
    done = worker >= 0
    nats = mutual_info_score(worker[done], kind[done])
    assert found.mutual_information == pytest.approx(nats / np.log(2), abs=1e-12)
    assert found.mutual_information + found.entropy <= np.log2(3) + 1e-12


def test_without_any_executed_task_it_is_zero():
    assert coordination.role_information([-1, -1], [0, 1], 2, 2) == (0.0, 0.0)
