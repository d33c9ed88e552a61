import hwb
import a_module_that_nobody_has


@hwb.recipe
def fine(session):
    pass
