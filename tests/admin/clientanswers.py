# -*- test-case-name: tests.admin.test_clientadmin -*-
"""Answers of the client's site against their description."""

from tests.admin.schemas import Described
from tunnelsvc.admin.clientdescribed import description

CLIENT = Described(lambda: description("tunnelsvc_client_12345", secured=True))
wrong_with = CLIENT.wrong_with_named
