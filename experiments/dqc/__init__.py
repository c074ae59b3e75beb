from experiments.harness.protocol import Paper

NAME = "dqc"
TITLE = "x"
PAPER = Paper(author="a", title="t", year=2025)
SUBSTITUTES = "x"
