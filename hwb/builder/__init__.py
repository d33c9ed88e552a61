"""How do sources become an sdist and a wheel? `engine.build_project` is the entry; nothing is imported from here."""
