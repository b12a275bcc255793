"""Tests of the vhost path."""
