"""The format of tests.yaml: its model, reading, errors and editing."""
