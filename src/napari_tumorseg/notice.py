"""Notice on the intended use, the same in every output."""

RESEARCH_USE = "Research use only, not for diagnosis."
