"""A tiny system for the harness tests: a linear trend whose claims hold, fail or raise."""

from experiments.harness.protocol import Paper

NAME = "fake"
TITLE = "Linear trend: whether it rises"
PAPER = Paper("A. Author, B. Author", "On Trends", 1999, "Journal of Trends", "9901.00001")
SUBSTITUTES = "A formula replaces the measurement."
CHANGES = "The slope was 1 in the pilot."
