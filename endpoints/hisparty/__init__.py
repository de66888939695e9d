"""A HIS as a party: what is asked of it by name, over SOAP or JSON as a profile says."""
