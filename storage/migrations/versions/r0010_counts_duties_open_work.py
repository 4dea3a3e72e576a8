"""Counts kept by triggers, what is done by the clock, and indexes of what is still open alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0010"
down_revision = "r0009"

#: Counted table → what its tally has for name, state and bytes, of a row.
_COUNTED = {
    "study": ("''", "{row}.state", "0"),
    "delivery": ("{row}.destination", "{row}.state", "0"),
    "forward": ("{row}.destination", "{row}.state", "0"),
    "reading": ("''", "{row}.category", "0"),
    "instance": ("''", "''", "{row}.size_bytes"),
    "result_object": ("''", "''", "{row}.size_bytes"),
}
_MOVING = ("study", "delivery", "forward")
_OPEN = {
    "study": (["state", "due_at"], "state NOT IN ('ANSWERED', 'STORED')"),
    "delivery": (["state", "destination", "due_at"], "state NOT IN ('DELIVERED', 'COMMITTED', 'SUPERSEDED')"),
    "forward": (["state", "destination", "created_at"], "state NOT IN ('DELIVERED')"),
}


def upgrade() -> None:
    """From the revision before to this one."""
    op.create_table(
        "duty",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("last_found", sa.Integer(), nullable=False),
        sa.Column("last_found_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    large = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "tally",
        sa.Column("id", large, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("count", large, nullable=False),
        sa.Column("size_bytes", large, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.add_column("worker", sa.Column("leads", sa.Boolean(), server_default=sa.false(), nullable=False))
    _indexes()
    for table in _COUNTED:
        _count(table)
        (_sqlite if op.get_bind().dialect.name == "sqlite" else _postgresql)(table)


def _indexes() -> None:
    for table, (columns, where) in _OPEN.items():
        condition = sa.text(where)
        op.create_index(f"ix_{table}_open", table, columns, sqlite_where=condition, postgresql_where=condition)
    op.drop_index("ix_study_state_due_at", table_name="study")
    op.drop_index("ix_delivery_state_due_at", table_name="delivery")
    op.drop_index("ix_delivery_destination_state", table_name="delivery")
    op.drop_index("ix_forward_state_queued", table_name="forward")
    op.create_index(op.f("ix_instance_received_at"), "instance", ["received_at"], unique=False)


def _count(table: str) -> None:
    """What is there already."""
    name, state, size = (each.format(row=table) for each in _COUNTED[table])
    op.execute(
        "INSERT INTO tally (kind, name, state, count, size_bytes) SELECT kind, name, state, count(*), sum(size) FROM "
        f"(SELECT '{table}' AS kind, {name} AS name, {state} AS state, {size} AS size FROM {table}) AS counted "
        "GROUP BY kind, name, state"
    )


def _noted(table: str, row: str, sign: str) -> str:
    name, state, size = (each.format(row=row) for each in _COUNTED[table])
    return (
        "INSERT INTO tally (kind, name, state, count, size_bytes) "
        f"VALUES ('{table}', {name}, {state}, {sign}1, {sign}({size}));"
    )


def _sqlite(table: str) -> None:
    more, fewer = _noted(table, "NEW", ""), _noted(table, "OLD", "-")
    op.execute(f"CREATE TRIGGER tally_{table}_more AFTER INSERT ON {table} BEGIN {more} END")
    op.execute(f"CREATE TRIGGER tally_{table}_fewer AFTER DELETE ON {table} BEGIN {fewer} END")
    if table in _MOVING:
        op.execute(
            f"CREATE TRIGGER tally_{table}_moved AFTER UPDATE OF state ON {table} "
            f"WHEN OLD.state <> NEW.state BEGIN {fewer} {more} END"
        )


def _postgresql(table: str) -> None:
    more, fewer = _noted(table, "NEW", ""), _noted(table, "OLD", "-")
    op.execute(
        f"CREATE FUNCTION tally_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF TG_OP <> 'INSERT' THEN {fewer} END IF; IF TG_OP <> 'DELETE' THEN {more} END IF; RETURN NULL; END $$"
    )
    op.execute(
        f"CREATE TRIGGER tally_{table} AFTER INSERT OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION tally_{table}()"
    )
    if table in _MOVING:
        op.execute(
            f"CREATE TRIGGER tally_{table}_moved AFTER UPDATE OF state ON {table} FOR EACH ROW "
            f"WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION tally_{table}()"
        )
