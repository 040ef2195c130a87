"""From staging to production: signed, reviewed, checked again where it arrives, and never run when it was altered."""
