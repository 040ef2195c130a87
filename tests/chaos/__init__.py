"""Chaos: processes of a whole stack are killed, stopped and ended while alerts are handled.

`python -m tests.chaos` judges by what the lab recorded, not by Tocsin's own books.
"""
