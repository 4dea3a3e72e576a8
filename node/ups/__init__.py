"""Unified Procedure Steps (PS3.4 CC): the worklist that others push to and pull from, and this node as performer."""
