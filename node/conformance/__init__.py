"""The DICOM Conformance Statement of a configuration, in the order of PS3.2 Annex N.

    statement(config) → the document; markdown.text(document) → what a person reads

What the code can be asked is asked: presentation contexts of the receiver and the sender, statuses of the intake, the
reaction to every status a peer may give, attributes and content trees of result objects that are really built from
made-up readings. Chapters are functions of the facts; only sentences are written here.
"""
