import hwb


@hwb.recipe
def broken(session)
    pass
