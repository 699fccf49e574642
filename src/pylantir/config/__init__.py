"""Settings: what may be configured (schema), where it comes from (load), older forms (legacy)."""
