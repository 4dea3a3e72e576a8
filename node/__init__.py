"""The node: DICOM network roles, the durable pipeline, result objects. Composed in `node.app`."""
