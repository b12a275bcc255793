# -*- test-case-name: tests.e2e.test_jupyter -*-
"""A real nginx: in front of the server, or as a service that it serves."""

import tempfile
from pathlib import Path
from typing import Final

from tests.e2e.secure import Files
from tests.programs import Program, ProgramTestCase, accepts_connections, require_program

# The map is that of http://nginx.org/en/docs/http/websocket.html, and of "keepalive" of
# ngx_http_upstream_module.
NGINX_CONFIG: Final = """\
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    client_max_body_size 0;
    proxy_buffering off;
    proxy_request_buffering off;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    {upstream}
    server {{
        listen 127.0.0.1:{port} {secure};
        {content}
    }}
}}
"""

PROXY: Final = """\
location / {{
            proxy_pass http://upstream;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header {header};
        }}"""


def start_proxy(
    case: ProgramTestCase, port: int, upstream_port: int, header: str, files: Files | None = None
) -> Program:
    """Run an nginx that passes all on, as its manual has it do for WebSockets and keep-alive.

    Args:
        case: until whose end it runs.
        port: where it listens.
        upstream_port: where it passes requests to.
        header: name and value of one more that it sets in them.
        files: the certificate, if it speaks TLS.
    """
    upstream = f"upstream upstream {{ server 127.0.0.1:{upstream_port}; keepalive 4; }}"
    content = PROXY.format(header=header)
    return _start(case, port, content, upstream=upstream, secure=_secure(files) if files else "")


def start_site(case: ProgramTestCase, port: int, files: Files) -> Program:
    """Run an nginx that shows the directory ``www`` of the test by TLS, and by HTTP/2."""
    return _start(case, port, f"root {case.directory}/www;", secure=_secure(files, "http2"))


def start_witness(case: ProgramTestCase, port: int, secure_port: int, files: Files) -> Path:
    """Run an nginx that answers with whom the PROXY protocol told it, and takes nobody else.

    Its answers are the address and port of the user, then those where he came in, and a full stop.
    There a port that isn't told is left out.

    Args:
        case: until whose end it runs.
        port: where it listens for HTTP.
        secure_port: where it listens for HTTP in TLS.
        files: the certificate.

    Returns:
        The path of a socket on which it listens for HTTP, too.
    """
    # Not in the test's directory: the length of a socket's path is limited to some 100 bytes.
    place = tempfile.TemporaryDirectory()
    case.addCleanup(place.cleanup)
    path = Path(place.name) / "witness"
    user = "$proxy_protocol_addr $proxy_protocol_port"
    entrance = "$proxy_protocol_server_addr $proxy_protocol_server_port"
    content = f"""\
listen unix:{path} proxy_protocol;
        listen 127.0.0.1:{secure_port} {_secure(files, "proxy_protocol")};
        return 200 "{user} {entrance}.";"""
    _start(case, port, content, secure="proxy_protocol")
    return path


def _secure(files: Files, *more: str) -> str:
    """Give what makes a port one of TLS."""
    return f"""\
{" ".join(["ssl", *more])};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate {files.cert};
        ssl_certificate_key {files.key}"""


def _start(
    case: ProgramTestCase, port: int, content: str, *, upstream: str = "", secure: str = ""
) -> Program:
    config = case.directory / "nginx.conf"
    config.write_text(
        NGINX_CONFIG.format(
            directory=case.directory, upstream=upstream, port=port, secure=secure, content=content
        ),
        encoding="utf-8",
    )
    program = case.run_program((require_program("nginx"), "-c", str(config)), name="nginx")
    program.wait_until(lambda: accepts_connections(port), f"port {port} listened on")
    return program
