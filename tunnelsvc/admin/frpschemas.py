# -*- test-case-name: tests.admin.test_described -*-
"""What frp's APIs of the server answer: see `tunnelsvc.admin.shapes`, `tunnelsvc.admin.shapes2`."""

from collections.abc import Mapping
from typing import Final

from tunnelsvc.admin.endpoints import Schema
from tunnelsvc.admin.openapi import (
    BOOLEAN,
    COUNT,
    INTEGER,
    STRING,
    list_of,
    map_of,
    or_null,
    record,
    ref,
)
from tunnelsvc.admin.shapes import OLD_NAMES

_OBJECT: Final[Schema] = {"type": "object"}
_STATE: Final[Schema] = {"type": "string", "enum": ["online", "offline"]}


def _both(**fields: Schema) -> Schema:
    """Describe an object that has each field under its old name, too."""
    old = {OLD_NAMES[name]: schema for name, schema in fields.items() if name in OLD_NAMES}
    return record(**fields, **old)


def _page(name: str) -> Schema:
    return record(total=COUNT, page=COUNT, pageSize=COUNT, items=list_of(ref(name)))


_LIMITS: Final = {
    "bindPort": COUNT,
    "vhostHTTPPort": COUNT,
    "vhostHTTPSPort": COUNT,
    "tcpmuxHTTPConnectPort": COUNT,
    "kcpBindPort": COUNT,
    "quicBindPort": COUNT,
    "subdomainHost": STRING,
    "maxPoolCount": COUNT,
    "maxPortsPerClient": COUNT,
    "heartbeatTimeout": INTEGER,
    "allowPortsStr": STRING,
    "tlsForce": BOOLEAN,
}
_SUMS: Final = {
    "totalTrafficIn": COUNT,
    "totalTrafficOut": COUNT,
    "curConns": COUNT,
    "clientCounts": COUNT,
    "proxyTypeCount": map_of(COUNT),
}
_CLIENT: Final = {
    "key": STRING,
    "user": STRING,
    "clientID": STRING,
    "runID": STRING,
    "version": STRING,
    "wireProtocol": STRING,
    "hostname": STRING,
    "os": STRING,
    "arch": STRING,
    "clientIP": STRING,
    "firstConnectedAt": COUNT,
    "lastConnectedAt": COUNT,
    "online": BOOLEAN,
}
_GONE: Final = {"disconnectedAt": COUNT}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Success": record(Code=INTEGER, Msg=STRING),
    "ServerInfo": _both(
        version=STRING, bind_udp_port=COUNT, startedAt=COUNT, now=COUNT, **_LIMITS, **_SUMS
    ),
    "FrpProxy": _both(
        name=STRING,
        type=STRING,
        conf=or_null("object"),
        user=STRING,
        clientID=STRING,
        todayTrafficIn=COUNT,
        todayTrafficOut=COUNT,
        curConns=COUNT,
        lastStartTime=STRING,
        lastCloseTime=STRING,
        status=_STATE,
    ),
    "FrpProxies": record(proxies=list_of(ref("FrpProxy"))),
    "FrpTraffic": _both(name=STRING, trafficIn=list_of(COUNT), trafficOut=list_of(COUNT)),
    "FrpClient": record(_GONE, **_CLIENT),
    "FrpClients": list_of(ref("FrpClient")),
    "V2Error": record(code=INTEGER, msg=STRING, data={"type": "null"}),
    "V2Info": record(version=STRING, config=record(**_LIMITS), status=record(**_SUMS)),
    "V2Pruned": record(type=STRING, cleared=COUNT, total=COUNT),
    "V2User": record(user=STRING, clientCount=COUNT, proxyCount=COUNT),
    "V2Users": _page("V2User"),
    "V2Clients": _page("FrpClient"),
    "V2Client": record(
        _GONE, **_CLIENT, status=record(phase=_STATE, curConns=COUNT, proxyCount=COUNT)
    ),
    "V2Proxy": record(
        name=STRING,
        user=STRING,
        clientID=STRING,
        spec={"type": "object", "properties": {"type": STRING}, "required": ["type"]},
        status=record(
            {"lastCloseAt": COUNT},
            phase=_STATE,
            todayTrafficIn=COUNT,
            todayTrafficOut=COUNT,
            curConns=COUNT,
            lastStartAt=COUNT,
        ),
    ),
    "V2Proxies": _page("V2Proxy"),
    "V2Traffic": record(
        name=STRING,
        unit=STRING,
        granularity=STRING,
        history=list_of(record(date=STRING, trafficIn=COUNT, trafficOut=COUNT)),
    ),
}
