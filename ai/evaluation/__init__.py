"""What a cohort table tells: how good the AI is, and what combining it otherwise with the readers would have given."""
