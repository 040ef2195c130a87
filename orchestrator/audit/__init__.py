"""The trail: what was done, sealed so that nobody can change it unseen, and checkable by anybody offline."""
