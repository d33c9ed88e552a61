"""How do sources come to this machine: from a git repository (`git`) or from a web server (`download`)?"""
