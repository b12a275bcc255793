"""Tests of `tunnelsvc.admin.history`."""
