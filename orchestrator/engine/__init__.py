"""What runs a playbook: the interpreter decides, workflows wait, activities act."""
