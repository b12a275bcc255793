# -*- test-case-name: tests.e2e.test_jupyter -*-
"""A real nginx in front of the server, as its manual has one do for WebSockets and keep-alive."""

from typing import Final

from tests.programs import Program, ProgramTestCase, accepts_connections, require_program

# http://nginx.org/en/docs/http/websocket.html, and "keepalive" of ngx_http_upstream_module.
NGINX_CONFIG: Final = """\
daemon off;
worker_processes 1;
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
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    upstream tunnel {{ server 127.0.0.1:{upstream_port}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://tunnel;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
}}
"""


def start_nginx(case: ProgramTestCase, port: int, upstream_port: int) -> Program:
    """Run an nginx on `port` that passes all on to `upstream_port`, until the test ends."""
    nginx = require_program("nginx")
    config = case.directory / "nginx.conf"
    config.write_text(
        NGINX_CONFIG.format(directory=case.directory, port=port, upstream_port=upstream_port)
    )
    program = case.run_program((nginx, "-c", str(config)), name="nginx")
    program.wait_until(lambda: accepts_connections(port), f"port {port} listened on")
    return program
