"""FantasyHSI: navigator, planner and critic around a motion generator, in a closed loop."""

from experiments.harness.protocol import Paper

NAME = "fantasy_hsi"
TITLE = "FantasyHSI: a planner and a critic around a motion generator, in a closed loop"
PAPER = Paper(
    author="FantasyHSI authors (AMAP, Alibaba; Tsinghua)",
    title="FantasyHSI",
    year=2026,
    venue="AAAI 2026",
    arxiv="2509.01232",
)
SUBSTITUTES = ""
