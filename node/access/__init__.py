"""Who may use the web side: accounts, tokens, an issuer's tokens, limits, and what is told of it."""
