import hwb


@hwb.recipe(requires=["chicken"])
def egg(session):
    pass


@hwb.recipe(requires=["egg"])
def chicken(session):
    pass
