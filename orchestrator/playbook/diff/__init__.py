"""The diff of two versions of a playbook: what changed in meaning, most dangerous first."""
