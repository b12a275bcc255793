"""A self-hosted reverse tunnel on Twisted that speaks frp's wire protocol."""

__version__ = "0.1.0"
