"""Tables and procedures of others: kind `database`. The two sides stand in `endpoints/sql/`.

PostgreSQL, MariaDB, MySQL, SQLite, Oracle and SQL Server by SQLAlchemy; their drivers are extras of the package.
"""

from __future__ import annotations

from config import registry
from endpoints.sql.destination import DatabaseDestination
from endpoints.sql.source import DatabaseSource

registry.source("database")(DatabaseSource)
registry.destination("database")(DatabaseDestination)
