"""The server's dashboard: a page for people and frp's HTTP API for programs."""

from tunnelsvc.admin.site import DashboardService, dashboard_site
from tunnelsvc.admin.view import DashboardView

__all__ = ["DashboardService", "DashboardView", "dashboard_site"]
