"""How Alembic runs the migrations: on the connection it is given, which commits or undoes them all."""

from alembic import context

from locker.rows.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
