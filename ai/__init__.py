"""Reading mammograms: domain types, pixels, models, calibration, synthetic exams.

Knows nothing of networks, queues or databases. See `docs/design.md`.
"""
