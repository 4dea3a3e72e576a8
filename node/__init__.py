"""The node: DICOM network roles, the durable pipeline, result objects. Composed in `node.app`."""

import logging

from pydicom import config

# What comes in is judged by `node.intake` and `ai.eligibility`, element by element. pydicom's own warnings about
# values would quote them, and a value may be a patient's name.
config.settings.reading_validation_mode = config.IGNORE
logging.getLogger("pydicom").setLevel(logging.ERROR)
