"""The policy: what may be changed, what needs approval, and what stops every change."""
