"""Which other names does hwb answer to? See `hwb.compat.alias`."""
