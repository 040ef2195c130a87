"""Tests of the playbook language."""
