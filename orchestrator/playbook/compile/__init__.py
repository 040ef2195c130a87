"""The compiler: from the text of a playbook to a plan, checked against the catalogue."""
