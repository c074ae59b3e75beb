"""DRED: curricula of levels from a VAE of a starting set, against PLR, ACCEL and random levels.

**Generators.** Levels of a VAE that is fitted to the starting set, of edits, of domain
randomization and of a mixture of cells without a model are compared with held-out levels of the
same families by features: shortest path, walls, lava, moss, share of unsolvable levels.

**Training.** PPO trains on curricula over levels of the maze CaveEscape, all arms in one program
with the same numbers of updates and of levels trained on. Afterwards they act in held-out levels
of the same families, in levels of other families and in larger levels. Arms that evaluate new
levels without gradients take a quarter more environment steps, so a further comparison stops them
after four fifths of the updates, at equal numbers of environment steps.

References:
    S. Garcin, J. Doran, S. Guo, C. G. Lucas, S. V. Albrecht, DRED: zero-shot transfer in
    reinforcement learning via data-regularised environment design, 2024.
"""

from experiments.harness.protocol import Paper

NAME = "dred"

TITLE = "DRED: level curricula from a VAE of a starting set, against PLR, ACCEL and random levels"

PAPER = Paper(
    author="S. Garcin, J. Doran, S. Guo, C. G. Lucas, S. V. Albrecht",
    title="DRED: Zero-Shot Transfer in Reinforcement Learning via Data-Regularised Environment "
    "Design",
    year=2024,
    venue="ICML 2024",
    arxiv="2402.03479",
)

SUBSTITUTES = (
    "Mazes of 7 × 7 cells (13 × 13 at full scale) from own wave-function-collapse templates stand "
    "for the paper's levels of 13 × 13 cells, 64 levels for its starting set of 512. The VAE has "
    "dense layers instead of a graph encoder, policies are small networks without memory instead "
    "of an LSTM, and training has 1.2 × 10⁵ steps instead of 2.65 × 10⁸. Each iteration trains on "
    "distinct levels and evaluates new ones, where the authors' code alternates at random."
)
