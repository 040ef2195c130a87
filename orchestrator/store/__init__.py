"""The database: tables, sessions, migrations, and all SQL of the project."""
