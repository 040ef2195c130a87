"""The frozen nouns that every other package speaks in; pure, importing nothing of ours."""
