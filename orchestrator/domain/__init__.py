"""The nouns of the project and their states: pure, and below every other package."""
