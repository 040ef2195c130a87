"""The environment of Alembic: the transaction that `orchestrator.store.migrate` opened."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

from orchestrator.store import tables

assert tables.SourceRow.metadata is SQLModel.metadata  # noqa: S101 - the import is what fills the metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    transactional_ddl=False,  # the caller's transaction is around all of it
    render_as_batch=True,  # SQLite alters a table by copying it
)
context.run_migrations()
