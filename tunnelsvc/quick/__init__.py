# -*- test-case-name: tests.quick.test_plan -*-
"""``tunnelsvc http 8888`` and its like: one service, no file, one command."""
