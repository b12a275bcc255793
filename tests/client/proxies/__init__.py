"""Tests of `tunnelsvc.client.proxies`."""
