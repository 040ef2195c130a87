"""Whether a playbook that compiles is also wise: rules over the plan, its text and its data flow; each can be waived in place."""
