"""How does a plan become outcomes? `api` is one call, `scheduler` the order, `work` one session."""
