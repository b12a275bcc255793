# -*- test-case-name: tests.client.plugins.test_staticfile -*-
"""``plugin = static_file``: users read the files below a directory, by HTTP."""

from collections.abc import Awaitable
from pathlib import Path
from typing import cast

from twisted.logger import Logger

from tunnelsvc.client.plugins import Place
from tunnelsvc.client.plugins.sharedfiles import SharedFiles
from tunnelsvc.client.plugins.webstream import StreamSite
from tunnelsvc.config.plugins import StaticFileConfig
from tunnelsvc.interfaces import Stream
from tunnelsvc.relay import Closed
from tunnelsvc.wire.messages import StartWorkConn


class StaticFilePlugin:
    """A site of files; see `tunnelsvc.client.plugins.Plugin`."""

    log = Logger()

    def __init__(self, place: Place) -> None:
        config = cast("StaticFileConfig", place.proxy.plugin)
        if not Path(config.local_path).is_dir():
            # It may come: a disk that isn't mounted yet.
            self.log.warn(
                "[{proxy}] plugin_local_path {path} is no directory now: users get 404",
                proxy=place.proxy.name,
                path=config.local_path,
            )
        files = SharedFiles(
            config.local_path,
            place.reactor,
            prefix=config.strip_prefix,
            user=config.http_user,
            password=config.http_password,
        )
        self._site = StreamSite(files, place.reactor)

    def serve(
        self,
        stream: Stream,
        unread: bytes,
        start: StartWorkConn,  # noqa: ARG002 - files are the same for all
        *,
        far_half_closes: bool,
    ) -> Awaitable[Closed]:
        """See `Plugin`."""
        return self._site.serve(stream, unread, far_half_closes=far_half_closes)
