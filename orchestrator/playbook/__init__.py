"""The playbook language: what an author writes, its checks, and the plan that a run carries."""
