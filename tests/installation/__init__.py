"""Tests of the installation: its identity, and what it refuses."""
