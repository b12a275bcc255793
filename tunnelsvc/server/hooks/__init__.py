"""Server plugins (``[plugin.NAME]``): web services that are asked before things happen."""
