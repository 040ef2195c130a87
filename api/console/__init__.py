"""The console: pages for people in a browser, HTML without scripts, escaped throughout."""
