"""How does a plan become outcomes? See `api` (one call), `scheduler` (order), `work` (one session), `local` and `child` (where)."""
