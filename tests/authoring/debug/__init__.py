"""Tests of debug sessions."""
