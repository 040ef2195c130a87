"""Tests of keys, encryption, signatures and tokens."""
