"""The server's dashboard and the client's site: pages for people, frp's HTTP APIs for programs.

Each has modules of its own, so that neither program imports the other's: `site` and `clientsite`
are where they begin.
"""
