"""What a cohort table tells: how good the AI is, and what other ways to combine it with the readers would have given."""
