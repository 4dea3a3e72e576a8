"""The durable pipeline: read → report → deliver. `jobs` is the port, `durable` the engine behind it."""
