"""The expression language and the YAML in which it stands: syntax, types, evaluation."""
