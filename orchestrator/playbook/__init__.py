"""The playbook language: what an author writes, how it is checked, and the compiled plan that a run carries."""
