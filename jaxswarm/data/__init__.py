"""data (under construction)."""
