"""Web services that speak SOAP: the parts of kind `soap`."""
