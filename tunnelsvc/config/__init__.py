"""Configuration: files in, frozen values out."""
