"""The medical insurance platform (医保) as a party: envelope, transports, outcomes, files."""
