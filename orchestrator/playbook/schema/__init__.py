"""The schema of playbooks: what an author may write, the JSON Schema for editors, and templates."""
