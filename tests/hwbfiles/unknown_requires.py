import hwb


@hwb.recipe(requires=["biuld"])
def broken(session):
    pass
