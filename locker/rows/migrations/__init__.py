"""Migrations of the rows, run by Alembic inside the transaction of whoever asks."""
