"""What playbooks did or would do about alerts, in one comparable form."""
