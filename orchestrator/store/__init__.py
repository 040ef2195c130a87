"""Everything that is kept: tables, sessions, migrations, and all SQL that there is."""
