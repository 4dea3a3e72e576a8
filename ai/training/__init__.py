"""How the demonstration model is made: synthetic exams → fit → calibration → bundle.

Run `python -m ai.training --help`.

Training sees images through the same preprocessing as reading (`ai.models._input`), from the same kind of stored
values; only the pixel pitch they are drawn at is coarser than a real system's, to save time.
"""
