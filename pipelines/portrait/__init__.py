"""Identity-preserving portraits: one person, any prompt."""
