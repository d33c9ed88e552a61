"""How do sources become an sdist and a wheel? A map of this room; nothing is imported from here.

From outside: `api` (`hwb build`, `hwb.build`), `facade` (`hwb.BuildEngine`), `again` and `note` (the same words,
nothing changed). The way of a build is in `engine`, what is asked and made in `options`. It looks (`memory`,
`results`), takes a `place`, calls hooks (`backend` - `hooks` - `zygote` or a process - `in_process`, the only part that
runs in the target Python) in `environments` with the variables of `hook_env` and `native`, or another of the
`frontends`; makes what comes back canonical (`normalise`), compares it with the tree (`files`) and hands it over
(`output`). Around it: `members` of workspaces, `reproduce`, `lock` and `locking`, `remedies`, `log`.
"""
