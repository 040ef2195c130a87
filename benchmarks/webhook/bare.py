"""A bare FastAPI endpoint with one insert and its commit: what the intake is compared with.

python benchmarks/webhook/bare.py PORT DATABASE SYNCHRONOUS
"""

from __future__ import annotations

import sqlite3
import sys
import time
import uuid

import uvicorn
from fastapi import FastAPI, Request


def app(database: str, synchronous: str) -> FastAPI:
    """Return the app. `synchronous`: the pragma; `full` is as durable as Tocsin."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.execute("CREATE TABLE alerts (id TEXT PRIMARY KEY, body BLOB, received_at REAL)")
    found = FastAPI()

    @found.post("/alerts", status_code=202)
    async def accept(request: Request) -> dict[str, str]:
        row = (uuid.uuid4().hex, await request.body(), time.time())
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO alerts VALUES (?, ?, ?)", row)
        connection.execute("COMMIT")
        return {"alert_id": row[0]}

    return found


if __name__ == "__main__":
    served = app(*sys.argv[2:4])
    uvicorn.run(served, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
