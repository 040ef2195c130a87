"""The only code with side effects: each activity of the engine, its records written in the transaction of what it does."""
