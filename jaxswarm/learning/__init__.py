"""learning (under construction)."""
