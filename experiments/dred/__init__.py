"""DRED: curricula of levels from a VAE of a starting set, against PLR, ACCEL and random levels.

**Generators.** Levels of a VAE that is fitted to the starting set, of edits, of domain
randomization and of a mixture of cells without a model are compared with held-out levels of the
same families by features: shortest path, walls, lava, moss, share of unsolvable levels.

**Training.** PPO trains on curricula over levels of the maze CaveEscape, all arms in one program
with the same numbers of updates and of levels trained on. Afterwards they act in held-out levels
of the same families, in levels of other families and in larger levels. Arms that evaluate new
levels without gradients take a quarter more environment steps, so a further comparison stops them
after four fifths of the updates, at equal numbers of environment steps.

What a pilot on base seed 1000 decided: step size and temperature of every arm, out of the same grid
(:data:`experiments.dred.training.GRID`). It had 64 starting levels, 160 iterations and 64 levels of
each family for the oracle; the recorded run has 32 levels, 100 and 48. The claim of unsolvable
mixtures was added after it.

A first run on the claims' seeds had 64 starting levels, and held 17 of 28 claims: in it the oracle
did not clearly beat uniform replay (.04 [-.01, .08]), so that there was no room for any method to
gain. A pilot with the specification's 32 levels (base seed 1000) had that room, and the recorded
run starts with 32. That was decided by the oracle; VAE-DRED's differences in the first run were:
uniform .03 [-.06, .12], PLR -.03 [-.10, .05], DR .18 [.08, .28], robust PLR .23 [.10, .36], ACCEL
.23 [.16, .29], ACCEL-D .03 [-.08, .14]. The families' starts and goals are drawn from other keys
since then.

What did not hold at small scale, and why.

* VAE-DRED solves .80 of the held-out levels, clearly more than ACCEL and random levels (.60 each),
  also of larger and of other levels. Its gains over uniform replay (.72), PLR (.76), ACCEL-D (.79)
  and robust PLR (.63) are positive but not resolved by five seeds, whose starting sets differ. The
  oracle solves .88, so that the world rewards better levels.
* At equal environment steps, after four fifths of its updates, VAE-DRED is ahead of uniform replay
  and of random levels by .03 and .15, neither resolved.
* EL-DRED, one generation of edits of the starting set, does as well as VAE-DRED (.79).
* The starting set is no nearer to held-out levels than the VAE's levels: a VAE of 32 levels hardly
  leaves them. Mixing cells without a model is no farther away by shares of tiles, which it keeps by
  construction, but makes nearly three times as many unsolvable levels (.19 against .07).
* The gap of PLR is smaller than that of uniform replay in three of five seeds, below two of three;
  that of VAE-DRED is smaller by .08 [-.00, .16].

At full scale a first run had 512 starting levels of each seed. VAE-DRED solved .39 to .48 more of
the held-out levels than DR, robust PLR and ACCEL, but against uniform replay (.04 [-.02, .10]), PLR
(.02) and ACCEL-D (.06) nothing was decided, nor did the oracle with more levels beat uniform replay
(-.02 [-.09, .05]): so many starting levels leave no room for better ones, and 19 of 31 claims held.
A pilot on base seed 1000 with 32 starting levels had room (uniform replay .47, the oracle .78), so
full scale starts with 32 and holds 22 claims.

With 32 levels the oracle solves .82 of the held-out levels, uniform replay .58 and PLR .58,
VAE-DRED .70: .12 [.06, .17] more than uniform replay, .12 [.07, .17] more than PLR, .27, .45 and
.32 more than DR, robust PLR and ACCEL, and half of the oracle's gain; its generalization gap is
smaller than that of uniform replay by .12 [.04, .19], and it solves more larger levels (.59 against
.39). So the paper's headline holds against adaptive sampling and unsupervised design. But a VAE is
not needed for it: ACCEL-D (.72) and EL-DRED (.71), which edit the starting set, do as well. Not
resolved are levels of other families (against uniform replay .13 [-.02, .27]) and equal environment
steps (.08 [-.01, .17]). Replay by value loss alone does not narrow the gap (smaller in two of five
seeds, below two of three), and the probe does not tell PLR (.03) or VAE-DRED (.11) from uniform
replay, though it tells the oracle (.54 nats [.42, .65]).

**Probe.** After training, a linear classifier tells starting levels apart by the critic's last
hidden layer; its cross-entropy on other episodes bounds their mutual information. As the paper
says, at small scale replay by value loss leaves less of it than uniform replay (by .12 nats [.02,
.21]), VAE-DRED less still (.30), and the oracle with more levels least (.46).

Larger levels have a side of 15 at small scale and 25 at full scale, since wave function collapse of
45 takes too long on the host. The paper's regime would take 2.65 × 10⁸ steps of 36 environments on
512 levels of 13 × 13 cells with a recurrent policy of 256 units (``--size 15 --starting 128
--hidden 256``).

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
    "for the paper's levels of 13 × 13 cells, 32 levels for its starting set of 512. The VAE has "
    "dense layers instead of a graph encoder, policies are small networks without memory instead "
    "of an LSTM, and training has 8 × 10⁴ steps (10⁶ at full scale) instead of 2.65 × 10⁸. Each "
    "iteration trains on distinct levels and evaluates new ones, where the authors' code "
    "alternates at random."
)
CHANGES = (
    "No threshold moved. Full scale was recorded before with 512 starting levels of each seed: "
    "training on many more levels did not beat uniform replay (-.02 [-.09, .05]), so no method had "
    "room to gain, VAE-DRED's difference from uniform replay was .04 [-.02, .10], and 19 of 31 "
    "claims held. A pilot on base seed 1000 with 32 starting levels, as at small scale, had room: "
    "uniform replay solved .47 of the held-out levels and the oracle .78 (three seeds, these two "
    "arms alone, 256 levels for the oracle instead of 512). So full scale starts with 32 levels "
    "now; nothing else was changed. What changed before at small scale stands in the module's "
    "description."
)
