"""The sdk, and every connector against its emulator."""
