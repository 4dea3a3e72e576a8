"""What a RIS schedules and what modalities say they performed, against the exams that came."""
