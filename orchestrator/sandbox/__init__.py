"""Work on texts of clients, in a process of its own that is bounded in time and memory."""
