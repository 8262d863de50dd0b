"""Alembic's entry: runs migrations on the connection that `storage.database.migrate` hands over."""

from alembic import context

connection = context.config.attributes["connection"]
# Batch mode: SQLite cannot alter a column in place, so Alembic copies the table.
context.configure(connection=connection, render_as_batch=connection.dialect.name == "sqlite")
context.run_migrations()
