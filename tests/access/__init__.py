"""Tests of people, their keys, and how they receive them."""
