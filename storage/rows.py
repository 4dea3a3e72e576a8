"""Rows as the records that the rest of the software knows."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from storage import records, schema


def plain(row: object, record: type) -> dict[str, Any]:
    """A row's values for the fields of `record`."""
    return {field.name: getattr(row, field.name) for field in fields(record)}


def instance(row: schema.InstanceRow) -> records.Instance:
    """A received instance."""
    return records.Instance(**plain(row, records.Instance))


def study(row: schema.StudyRow) -> records.Study:
    """A study."""
    values = plain(row, records.Study)
    state, priority = records.StudyState(row.state), records.Priority(row.priority)
    return records.Study(**{**values, "state": state, "priority": priority})
