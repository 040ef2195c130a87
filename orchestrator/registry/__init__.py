"""Published playbook versions: publish, sign, trust, retire, bundle and sync."""
