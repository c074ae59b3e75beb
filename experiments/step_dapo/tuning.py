"""The pilot that chose the hyperparameters: every method on the same grid, on seeds of its own.

``python -m experiments.step_dapo.tuning`` prints pass rates on held-out questions of the pilot's
seeds, by method and setting, and the best setting of each. Controls and two iterations have
step-DAPO's setting.
"""

import numpy as np

from experiments.step_dapo import arms
from experiments.step_dapo.config import GRID, PILOT_SEEDS, PPO_GRID, SCALES, Config
from experiments.step_dapo.programs import build

TUNED = ("dpo", "response", "ppo", "step_dapo", "partition", "monte_carlo", "oracle")


def tune(config: Config) -> dict[str, dict[tuple[float, ...], np.ndarray]]:
    """Pass rates ``[seeds]`` of each method at each of its settings."""
    programs = build(config)
    found: dict[str, dict[tuple[float, ...], list[float]]] = {name: {} for name in TUNED}
    for seed in PILOT_SEEDS:
        given = arms.start(config, programs, seed)
        for name, rates in found.items():
            for choice in PPO_GRID if name == "ppo" else GRID:
                params, _, _ = arms.learn(config, programs, given, name, choice)
                rate = arms.pass_rate(config, programs, given, params)
                rates.setdefault(choice, []).append(rate)
    return {n: {c: np.array(x) for c, x in rates.items()} for n, rates in found.items()}


def main() -> None:
    """Print the table."""
    for name, rates in tune(SCALES["small"]).items():
        for choice, values in rates.items():
            print(name, choice, values.round(3), round(float(values.mean()), 3))
        best = max(rates, key=lambda choice: float(rates[choice].mean()))
        print(f"{name}: best {best}\n", flush=True)


if __name__ == "__main__":
    main()
