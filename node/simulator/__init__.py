"""A hospital on one machine, for the demonstration and for tests: exams, modalities that send them, a PACS.

Every woman is invented. Everything listens on loopback only, at free ports, and ends with whoever started it.
"""
