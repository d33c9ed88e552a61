"""Where are artifacts published? Each kind of index is a module of its own; nothing is imported from here."""
