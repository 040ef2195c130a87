"""How an installation is configured: sources, connections, keys, policies, kill switches, playbooks, assets; each change audited."""
