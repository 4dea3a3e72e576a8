"""What a cohort table tells: how good the AI is, and what other ways of combining it with the readers would have given."""
