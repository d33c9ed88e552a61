import hwb


@hwb.recipe(pyhton="3.12")
def broken(session):
    pass
