import hwb


@hwb.recipe(python="three.twelve")
def broken(session):
    pass
