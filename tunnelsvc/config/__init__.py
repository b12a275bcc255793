# -*- test-case-name: tests.config.test_load -*-
"""Configuration: files in, frozen values out.

`load_server` and `load_client` are all that the programs call; `tunnelsvc.config.schema` is what
they get. From a file to there: `template` (environment), `legacy` (lines, sections), `keys` and
`notyet` (which keys there are), `values` (what a value may be), `validate` (values that must fit
one another).
"""

from tunnelsvc.config.load import Loaded, load_client, load_server

__all__ = ["Loaded", "load_client", "load_server"]
