"""Tests of shadow."""
