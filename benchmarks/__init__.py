"""Tunnels side by side on one machine: ours, frp and whatever else is installed.

``python -m benchmarks --help`` tells how; docs/performance.md tells what is measured and why so.
"""
