"""MetaInf: meta-learnt choice of an inference acceleration, on simulated and measured seconds.

Changes after the pilot on base seed 1000 (all before the recorded run): 8-bit weights no longer
raise the peak of arithmetic, some devices convert them on the fly, and small batches of
accelerators are bound by memory, because "all on" was best in up to 60 % of the cells. The numbers
of baselines (neighbours, clusters, rank, leaf size) were chosen among four each on the pilot's
cells, by leaving devices out there; of the ensemble three settings were tried. No threshold moved.
"""

from experiments.harness.protocol import Paper

NAME = "meta_inf"
TITLE = "MetaInf: meta-learnt choice of an inference acceleration for unseen hardware"
PAPER = Paper(
    author="Y. Du et al.",
    title="Meta-Learning for Speeding Up Large Model Inference in Decentralized Environments",
    year=2025,
    venue="COLM 2025",
    arxiv="2508.09194",
)
SUBSTITUTES = (
    "Small scale: a roofline model with queueing and padding stands in for measured seconds of "
    "language models on accelerators, eight simulated devices for the GPUs. Full scale: a small "
    "transformer of this package is served and timed on this machine's processor, on one core and "
    "on two. Hashed words of descriptions replace text embeddings of a language model; an ensemble "
    "of flax networks and histogram gradient boosting replace XGBoost."
)
