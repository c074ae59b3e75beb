"""The benchmark of robust rules runs, and what it times is the rule."""

import jax
import numpy as np

from benchmarks import robust
from jaxswarm import gossip, topology


def test_a_row_says_what_it_measured():
    report = robust.run(["median"], quick=True)
    (row,) = report["rows"]
    assert {"averaging", "rule", "whole"} <= set(row["ms"])
    assert all(value > 0 for value in row["ms"].values())


def test_a_call_is_the_rounds_of_the_rule():
    graph = topology.ring(6)
    params = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    rule = gossip.robust.median(graph)
    timed = robust.Rule(rule, params)
    timed()
    expected = params
    mix = jax.jit(lambda x: rule.mix(jax.random.key(0), x, rule.init(x), gossip.Exchange(0))[0])
    for _ in range(robust.ROUNDS):
        expected = mix(expected)
    np.testing.assert_allclose(timed._carry[0], expected, atol=1e-6)
