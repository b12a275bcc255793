"""Tests of `tunnelsvc.client.visitors`."""
