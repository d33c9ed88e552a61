"""Which wheels does a project need, and how is each of them made?

==========================  ========================================================================================
`hwb.matrix.known`          the Pythons, images and enable groups that exist (generated data: `pythons.toml`)
`hwb.matrix.selectors`      `build`, `skip`, `select`: globs with braces over identifiers
`hwb.matrix.archs`          `auto`, `native`, `all` and the names of architectures
`hwb.matrix.forms`          an option's text form, and how two values are merged
`hwb.matrix.places`         the line of every option
`hwb.matrix.layers`         values of one option from many places, merged by cibuildwheel's rules
`hwb.matrix.cibuildwheel`   `[tool.cibuildwheel]` and `CIBW_*`, and what of it hwb does not honour
`hwb.matrix.table`          `[tool.hwb.matrix]`, or a TOML or YAML file with the same table
`hwb.matrix.configuration`  all of these places, read once
`hwb.matrix.options`        `TargetOptions`: what holds for one target
`hwb.matrix.environment`    the shell words of `environment`, evaluated without a shell
`hwb.matrix.selection`      which identifiers that chooses, and why not the others
`hwb.matrix.strategy`       how this machine can make a target: itself, a container, cibuildwheel, not at all
`hwb.matrix.planning`       `plan_matrix`: the targets, each with a strategy and a reason
`hwb.matrix.listing`        the plan as a table, as JSON, as the matrix of a GitHub workflow
==========================  ========================================================================================

Nothing here reads a clock, starts a process or asks the network.
"""
