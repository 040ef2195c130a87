"""The parts of the intake benchmarks: senders, the endpoint to compare with, and installations."""
