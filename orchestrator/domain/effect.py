"""What an action does to the world."""

from enum import StrEnum


class Effect(StrEnum):
    """The five kinds of action; everything but `read` goes through plan, judge, approve, record, apply, verify."""

    READ = "read"
    CONTAIN = "contain"  # raises a defence; has an undo
    RESTORE = "restore"  # lowers a defence
    NOTIFY = "notify"  # a ticket, a message
    DESTROY = "destroy"  # no undo; the policy asks for approval by default

    @property
    def changes(self) -> bool:
        """Whether the world is different afterwards."""
        return self is not Effect.READ
