"""Training: exams of a cohort table, or drawn ones → fit → calibration → bundle (`mammo-node train`).

Training sees images through the same preprocessing as reading (`ai.models._input`), from the same stored values; only
synthetic images are drawn at a coarser pixel pitch than a real system's, to save time.
"""
