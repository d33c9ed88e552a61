import hwb


@hwb.recipe
def broken(session, database):
    pass
