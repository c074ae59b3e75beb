"""MetaInf: choose an acceleration once, from past measurements, within a budget.

References:
    MetaInf: meta-learning for the selection of inference acceleration methods, arXiv 2410.21340,
    2024; rewritten as arXiv 2508.09194, 2025.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from jaxswarm import checks
from jaxswarm.systems.meta_inf._cells import Cells
from jaxswarm.systems.meta_inf._evaluation import held_out_scores
from jaxswarm.systems.meta_inf._features import Embed, features
from jaxswarm.systems.meta_inf._selectors import RANKS_ONLY, SELECTORS, Predict
from jaxswarm.systems.meta_inf._specs import Device, Model, Workload


class Choice(NamedTuple):
    """What to run.

    Attributes:
        method: its name; ``None`` if no method is expected to fit the budget.
        feasible: whether one is.
        seconds: predicted ones of each method by name.
        cost: predicted upper bounds, seconds times price times the margin.
    """

    method: str | None
    feasible: bool
    seconds: dict[str, float]
    cost: dict[str, float]


@dataclasses.dataclass(frozen=True, eq=False)
class MetaInf:
    """A fitted selector, made by :func:`fit`.

    Attributes:
        methods: names of the methods.
        predict: predicted logarithm of the seconds.
        margin: added to it before a cost is compared with a budget.
        embed: of the features.
    """

    methods: tuple[str, ...]
    predict: Predict
    margin: float
    embed: Embed | None = None

    def choose(
        self, workload: Workload, model: Model, device: Device, budget: float | None = None
    ) -> Choice:
        """Choose the method of the smallest predicted seconds, without a trial run.

        Args:
            workload: the task.
            model: to serve.
            device: to serve it on.
            budget: seconds times price that must not be exceeded; ``None`` for no limit. A method
                is only taken if its predicted cost with the margin fits.

        Raises:
            ValueError: for arguments of another kind, or a budget not above 0.
        """
        checks.instance("workload", workload, Workload, "meta_inf.Workload(…)")
        checks.instance("model", model, Model, "meta_inf.Model(…)")
        checks.instance("device", device, Device, "meta_inf.Device(…)")
        if budget is not None:
            checks.real("budget", budget, above=0.0)
        ones = np.ones((1, len(self.methods)))
        cell = Cells((device,), (model,), (workload,), self.methods, np.zeros((1, 3), int), ones)
        logs = self.predict(cell, features(cell, embed=self.embed))[0]
        upper = np.exp(logs + self.margin) * device.price
        allowed = np.full(len(logs), True) if budget is None else upper <= budget
        best = int(np.where(allowed, logs, np.inf).argmin())
        return Choice(
            self.methods[best] if allowed.any() else None,
            bool(allowed.any()),
            dict(zip(self.methods, np.exp(logs).tolist(), strict=True)),
            dict(zip(self.methods, upper.tolist(), strict=True)),
        )


def fit(
    cells: Cells,
    selector: str = "MetaInf",
    *,
    embed: Embed | None = None,
    margin: float | None = None,
    seed: int = 0,
) -> MetaInf:
    """Learn from past cells which method will be fastest in new ones.

    Args:
        cells: measured or simulated, see :func:`table` and :func:`simulate_cells`.
        selector: name in ``SELECTORS`` of one that predicts seconds.
        embed: host function of texts, for real embeddings of descriptions.
        margin: by how much the logarithm of seconds may be underestimated when a budget is checked.
            ``None`` takes the largest underestimate on devices that are left out in turn (as many
            more fits), or 0 if there are fewer than three devices.
        seed: of the selector.

    Raises:
        ValueError: for arguments of another kind or out of range.

    Example:
        >>> from jaxswarm.systems import meta_inf
        >>> world = meta_inf.draw_world(0, num_workloads=4)
        >>> cells = meta_inf.simulate_cells(
        ...     world.devices, world.models, world.workloads, world.efficiencies,
        ...     meta_inf.PORTFOLIO,
        ... )
        >>> meta = meta_inf.fit(cells, "gradient boosting", margin=0.2)
        >>> choice = meta.choose(world.workloads[0], world.models[0], world.devices[0], budget=1e9)
        >>> choice.method in cells.methods
        True
        >>> meta.choose(world.workloads[0], world.models[0], world.devices[0], budget=1e-9).method
    """
    checks.instance("cells", cells, Cells, "meta_inf.table(…)")
    checks.choice("selector", selector, SELECTORS)
    if selector in (*RANKS_ONLY, "oracle"):
        raise ValueError(f"selector: expected one that predicts seconds, got {selector!r}")
    seed = checks.whole("seed", seed, 0, 2**31 - 1)
    given = features(cells, embed=embed)
    learner = SELECTORS[selector]
    if margin is None:
        margin = 0.0
        if len(np.unique(cells.index[:, 0])) > 2:
            found = held_out_scores(learner, cells, given, seed=seed)
            margin = float(np.max(np.log(cells.seconds) - found))
    checks.real("margin", margin)
    return MetaInf(cells.methods, learner(cells, given, seed), max(float(margin), 0.0), embed)
